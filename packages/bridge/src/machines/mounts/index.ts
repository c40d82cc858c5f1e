export { gitConfigMount, machineGitConfig, operatorGitIdentity, type GitIdentity } from "./git-config.ts";
export { lostProtections, newProtectedNames, releasePins } from "./protection-report.ts";
export {
  planMounts,
  type MountPlan,
  type MountRequest,
  type PlannedRepo,
  type ProtectionRecord,
  type RepoToMount,
} from "./plan-mounts.ts";
