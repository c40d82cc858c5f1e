export { GrantAuthority, type GrantAuthorityOptions, type GrantListing } from "./authority.ts";
export { systemClock, type Clock } from "./clock.ts";
export type { Ended } from "./endings.ts";
export type { LiveGrant } from "./entry.ts";
export {
  decideMint,
  MAX_DEPTH,
  MAX_DESCENDANTS,
  type ImplicitGrant,
  type ImplicitRequest,
  type MintRequest,
  type Narrowing,
} from "./issuing.ts";
export type {
  EndedGrant,
  EndListener,
  GrantAsk,
  GrantEvent,
  GrantEvidence,
  GrantExpired,
  GrantMachine,
  GrantMinted,
  GrantNarrowed,
  GrantPolicy,
  GrantRenewed,
  GrantRevoked,
  RevocationCause,
} from "./ports.ts";
export { covers } from "./scope.ts";
