export { isLocalName, rangeProblem, readHost, specialRange, type AskedHost } from "./addresses.ts";
export type { EgressCaller } from "./change-records.ts";
export { Egress, type EgressGiven, type EgressOptions, type EgressRequest } from "./egress.ts";
export { Gate, type GateLimits, type GateOptions } from "./gate.ts";
export { Guard, type GuardTarget } from "./guard.ts";
export type { EgressPolicy, KnownMachine } from "./machine-rules.ts";
export { EGRESS_PRESET_RULES } from "./presets.ts";
export { HostResolver, type Resolver, type ResolverOptions } from "./resolver.ts";
