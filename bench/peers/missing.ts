/** A peer that is not on this host. */
export interface Missing {
  /** What is missing and how it is installed. */
  readonly missing: string;
}

/** Whether a peer is absent. */
export function missing(peer: object): peer is Missing {
  return "missing" in peer;
}
