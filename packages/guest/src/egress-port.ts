/** Port of a machine's loopback where its programs find the way out. */
export const EGRESS_PORT = 3128;
