/** Bounds of what a machine may make the proxy wait for or hold. Times in milliseconds, sizes in bytes. */
export interface FrontLimits {
  /** First byte of a connection, each step of SOCKS5, and a request's head when the connection is new. */
  readonly headMs: number;
  /** From the end of one answer to the complete head of the next request. */
  readonly keepAliveMs: number;
  /** TLS hello and handshake inside a tunnel. */
  readonly helloMs: number;
  /** A request's body must move within this time. */
  readonly bodyMs: number;
  /** A tunnel or an answer on which nothing moves, either way. */
  readonly idleMs: number;
  readonly headBytes: number;
  readonly headers: number;
  readonly targetBytes: number;
}

/** Bounds that real clients keep by far. */
export const FRONT_LIMITS: FrontLimits = {
  headMs: 15_000,
  keepAliveMs: 60_000,
  helloMs: 15_000,
  bodyMs: 60_000,
  idleMs: 30 * 60_000,
  headBytes: 32 * 1024,
  headers: 150,
  targetBytes: 8192,
};
