import * as z from "zod";
import { AgentToolDoorSpec, DEFAULT_AGENT_TOOL_DOOR } from "./agent-tool-door.ts";
import { documentHead } from "./document-head.ts";
import { DEFAULT_EGRESS, EgressSpec } from "./egress.ts";
import { MachineSecret } from "./secrets.ts";
import { DEFAULT_TERMINAL_DOOR, TerminalDoorSpec } from "./terminal-door.ts";
import { Duration } from "./text.ts";

/** Relaxations of the hardening that a profile can ask for by name; each shows in the fingerprint. */
export const RELAXATIONS = ["user-namespaces-inside", "unprotected-git-config"] as const;
export const Relaxation = z.enum(RELAXATIONS).describe("A named relaxation of the default hardening");
export type Relaxation = z.infer<typeof Relaxation>;

/** Resource limits of a machine. */
export const MachineLimits = z.strictObject({
  memoryMiB: z.int().min(128).max(1_048_576).describe("Memory, swap included, in MiB"),
  pids: z.int().min(32).max(32_768).describe("Processes and threads"),
  cpus: z.number().min(0.1).max(512).describe("Processors"),
  tmpMiB: z.int().min(16).max(65_536).describe("Size of /tmp, in MiB"),
  shmMiB: z.int().min(1).max(65_536).describe("Size of /dev/shm, in MiB"),
  nofile: z.int().min(256).max(1_048_576).describe("Open files; clamped to the host's own limit"),
});
export type MachineLimits = z.infer<typeof MachineLimits>;

/** What a profile decides, as written in the policy file. */
export const AgentMachineProfileSpec = z.strictObject({
  image: z
    .strictObject({
      name: z
        .string()
        .min(1)
        .max(200)
        .regex(/^[a-z0-9][a-zA-Z0-9._/:@-]*$/)
        .describe('"machine" for ours, or a local image by name'),
      buildTools: z.boolean().describe("Whether the image has compilers and headers"),
    })
    .describe("Image of the machine"),
  limits: MachineLimits.describe("Resource limits"),
  isolation: z
    .strictObject({
      network: z.literal("none").describe("Only lo, without routes"),
      relaxations: z.array(Relaxation).max(10).describe("Named relaxations; empty by default"),
    })
    .describe("Isolation"),
  mounts: z
    .strictObject({
      defaultAccess: z.enum(["ro", "rw"]).describe("Access of a repo that names none"),
      hide: z
        .array(z.string().min(1).max(200))
        .max(100)
        .describe("Globs, relative to a repo, that are masked in every machine of this profile"),
    })
    .describe("Mounts"),
  home: z
    .enum(["volume", "tmpfs"])
    .describe("Where the home folder lives: a volume that survives stop and start, or memory"),
  homeMiB: z.int().min(16).max(65_536).describe("Size of a home in memory, in MiB"),
  timeToLive: Duration.describe("Time after which the machine is stopped"),
  environment: z
    .record(z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/), z.string().max(4096))
    .describe("Environment of the machine; never secrets"),
  egress: EgressSpec.describe("What its machines may reach, on top of what every machine may"),
  secrets: z
    .array(MachineSecret)
    .max(50)
    .describe(
      "Secrets that the machine may use, by name; their values stay on the host unless one is a file",
    ),
  doors: z
    .strictObject({
      terminal: TerminalDoorSpec.optional().describe("Terminal door"),
      "agent-tool": AgentToolDoorSpec.optional().describe("Agent-tool door"),
    })
    .describe("Doors that the machine offers"),
});
export type AgentMachineProfileSpec = z.infer<typeof AgentMachineProfileSpec>;

/** A profile as a document. */
export const AgentMachineProfile = z
  .strictObject({
    ...documentHead("AgentMachineProfile", "agent-machine-profile"),
    name: z.string().min(1).max(80).describe("Name in the policy file"),
    ...AgentMachineProfileSpec.shape,
  })
  .describe("Image, limits, isolation, mounts and doors of an agent machine");
export type AgentMachineProfile = z.infer<typeof AgentMachineProfile>;

/** The profile used when the policy file has none called `default`. */
export const DEFAULT_PROFILE: AgentMachineProfileSpec = {
  image: { name: "machine", buildTools: false },
  limits: { memoryMiB: 4096, pids: 1024, cpus: 2, tmpMiB: 1024, shmMiB: 64, nofile: 16_384 },
  isolation: { network: "none", relaxations: [] },
  mounts: { defaultAccess: "rw", hide: [] },
  home: "volume",
  homeMiB: 512,
  timeToLive: "8h",
  environment: {},
  egress: DEFAULT_EGRESS,
  secrets: [],
  doors: { terminal: DEFAULT_TERMINAL_DOOR, "agent-tool": DEFAULT_AGENT_TOOL_DOOR },
};

/** A named profile as a document. */
export function profileDocument(name: string, spec: AgentMachineProfileSpec): AgentMachineProfile {
  return {
    id: `urn:srcos:agent-machine-profile:${name}`,
    type: "AgentMachineProfile",
    specVersion: "0.1.0",
    name,
    ...spec,
  };
}
