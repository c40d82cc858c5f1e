export { authorityFolder } from "./egress-trust.ts";
export { BRIDGE_SUBJECT } from "./end.ts";
export type { Adoption } from "./adopt.ts";
export { hostClocks } from "./lease.ts";
export { Machines, type Asker } from "./machines.ts";
export type { EgressPort, GuestRuntime, LifeContext, ReviewClones } from "./ports.ts";
export { MachineRecords } from "./machine-records.ts";
export { MachineRecord } from "./record.ts";
export { machineView } from "./view.ts";
