import type { Logger } from "pino";
import type { EgressGate, EgressMachine, EgressTarget, SecretBindings } from "../ports.ts";
import type { MachineCa } from "../tls/machine-ca.ts";
import type { Authority } from "./authority.ts";
import type { FarPool } from "./far-pool.ts";
import type { FrontLimits } from "./limits.ts";

/** What all connections of a front share. */
export interface FrontParts {
  readonly gate: EgressGate;
  readonly secrets: SecretBindings;
  /** The authority of a machine, for TLS that is opened. */
  readonly ca: (machine: EgressMachine) => MachineCa;
  readonly limits: FrontLimits;
  readonly pool: FarPool;
  readonly log: Logger;
}

/** Where the requests of one connection come from and what they may name. */
export interface RequestScope {
  readonly machine: EgressMachine;
  readonly signal: AbortSignal;
  readonly scheme: "http" | "https";
  readonly via: EgressTarget["via"];
  /** The one host that a tunnel is for; null where each request names its own. */
  readonly authority: Authority | null;
}
