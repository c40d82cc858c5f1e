import * as z from "zod";

/** One thing that `doctor` found on this host. */
export const HostFinding = z.strictObject({
  id: z.string().max(80).describe("Stable name of the check, e.g. cgroup.mode"),
  state: z
    .enum(["ok", "degraded", "missing"])
    .describe("Whether the protection is fully there, weakened, or absent"),
  found: z.string().max(1000).describe("What was found"),
  costs: z.string().max(1000).nullable().describe("What it costs in isolation or comfort; null when nothing"),
  fix: z
    .string()
    .max(1000)
    .nullable()
    .describe("The command or setting that mends it; null when there is none"),
});
export type HostFinding = z.infer<typeof HostFinding>;

/** What a host can do and enforce, measured when the engine starts. */
export const HostFacts = z.strictObject({
  adapter: z.enum(["linux", "macos", "windows"]).describe("Host adapter in use"),
  kernel: z.string().max(200).describe("Kernel release"),
  podman: z.string().max(80).describe("Podman version"),
  runtime: z.string().max(120).describe("OCI runtime and its version, e.g. crun 1.8.1"),
  rootless: z.boolean().describe("Whether Podman runs without root"),
  cgroups: z.enum(["v1", "v2", "hybrid"]).describe("Control group layout"),
  limits: z
    .array(z.enum(["memory", "pids", "cpu"]))
    .describe("Resource limits that this host really enforces"),
  ownership: z
    .enum(["idmapped", "keep-id", "same-uid"])
    .describe(
      "How repo files keep their owner: idmapped mounts, keep-id, or the same uid without a user namespace",
    ),
  userNamespace: z.boolean().describe("Whether machines get their own user namespace"),
  mandatoryAccessControl: z
    .enum(["none", "apparmor", "selinux"])
    .describe("Mandatory access control of the host"),
  nofile: z.int().min(1).describe("Highest number of open files a machine may be given"),
  nproc: z.int().min(1).describe("Highest number of processes per user a machine may be given"),
  grade: z
    .enum(["full", "reduced", "weak"])
    .describe("Host enforcement grade: full when every protection of the design is enforced here"),
  findings: z.array(HostFinding).max(100).describe("Every check with its result, cost and mend"),
});
export type HostFacts = z.infer<typeof HostFacts>;
