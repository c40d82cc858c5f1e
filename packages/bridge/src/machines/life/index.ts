export type { Adoption } from "./adopt.ts";
export { freshId } from "./names.ts";
export { hostClocks } from "./lease.ts";
export { Machines, type Asker } from "./machines.ts";
export type {
  AllowedRepo,
  GuestRuntime,
  LifeContext,
  MachinePolicy,
  MountPlan,
  MountPlanner,
  ReviewClones,
} from "./ports.ts";
export { MachineRecord } from "./record.ts";
export { machineView } from "./view.ts";
