import * as z from "zod";
import { AgentMachineFingerprint } from "../agent-machine-fingerprint.ts";
import { AgentMachineMountEvidence } from "../agent-machine-mount-evidence.ts";
import { AgentMachineProfile } from "../agent-machine-profile.ts";
import { DoorName } from "../operations.ts";
import {
  Duration,
  HostPath,
  MachineId,
  MachineName,
  MachinePath,
  Sha256,
  Subject,
  Timestamp,
} from "../text.ts";
import { MachineSecret } from "../secrets.ts";
import { route } from "./route.ts";

/** A repo in a machine. */
export const MachineRepo = z.strictObject({
  hostPath: HostPath.describe("Resolved path on the host"),
  machinePath: MachinePath.describe("Where the machine sees it"),
  access: z.enum(["ro", "rw"]).describe("Access"),
  review: z.boolean().describe("Whether the machine works on a private clone"),
});
export type MachineRepo = z.infer<typeof MachineRepo>;

/** State of a machine. */
export const MachineState = z
  .enum(["launching", "running", "stopping", "stopped", "failed"])
  .describe("State of the machine");
export type MachineState = z.infer<typeof MachineState>;

/** A machine as the control API shows it. */
export const MachineView = z
  .strictObject({
    id: MachineId,
    name: MachineName,
    state: MachineState,
    stateReason: z.string().max(300).nullable().describe("Why it is stopped or failed"),
    profile: z.string().max(80).describe("Profile name"),
    subject: Subject.describe("Who launched it"),
    repos: z.array(MachineRepo).max(64).describe("Repos it sees"),
    workdir: MachinePath.describe("First repo, where terminals start"),
    image: z
      .strictObject({ id: Sha256, tag: z.string().max(300).describe("Tag") })
      .nullable()
      .describe("Image it runs"),
    doors: z.array(DoorName).describe("Doors it offers"),
    createdAt: Timestamp,
    startedAt: Timestamp.nullable().describe("When it was last launched"),
    expiresAt: Timestamp.nullable().describe("When it will be stopped; null when it is not running"),
    fingerprint: Sha256.nullable().describe("Digest of its fingerprint; null before the first launch"),
    evidence: z.int().nullable().describe("Index of its launch record"),
    notices: z
      .array(z.string().max(1000))
      .max(100)
      .describe("What a careful user should know of this machine"),
  })
  .describe("A machine as the control API shows it");
export type MachineView = z.infer<typeof MachineView>;

const RepoRequest = z.strictObject({
  path: z.string().min(1).max(4096).describe("Path on the host"),
  access: z.enum(["ro", "rw"]).optional().describe("Access; the profile's when absent"),
});

/** What `doorward up` asks for. */
export const UpRequest = z
  .strictObject({
    repos: z.array(RepoRequest).min(1).max(32).describe("Repos, the first is the working folder"),
    profile: z.string().max(80).optional().describe("Profile; default when absent"),
    name: MachineName.optional(),
    image: z.string().max(200).optional().describe("Local image instead of the profile's"),
    timeToLive: Duration.optional().describe("Time after which it is stopped; the profile's when absent"),
    review: z.boolean().optional().describe("Work on a private clone"),
    hide: z.array(z.string().min(1).max(200)).max(100).optional().describe("Globs to mask in the repos"),
    fresh: z
      .boolean()
      .optional()
      .describe("Make another machine although one has the same repos and profile"),
    temporary: z.boolean().optional().describe("Home in memory, as run uses it"),
    secrets: z
      .array(MachineSecret)
      .max(20)
      .optional()
      .describe("Secrets that the machine may use, on top of the profile's"),
  })
  .describe("What a launch asks for");
export type UpRequest = z.infer<typeof UpRequest>;

/** What `doorward up` answers. */
export const UpResult = z
  .strictObject({
    machine: MachineView.describe("The machine"),
    reused: z.boolean().describe("Whether an existing machine was returned"),
    listed: z
      .array(z.string().max(4096))
      .max(1000)
      .describe("Names in the repos that look secret and are visible to the machine"),
  })
  .describe("What a launch answers");
export type UpResult = z.infer<typeof UpResult>;

/** A machine with everything known of it. */
export const MachineInspection = z.strictObject({
  machine: MachineView,
  profile: AgentMachineProfile,
  fingerprint: AgentMachineFingerprint.nullable().describe("What really runs; null when it never ran"),
});
export type MachineInspection = z.infer<typeof MachineInspection>;

/** A terminal of a machine, as reported by the machine, with what the bridge knows of it. */
export const TerminalView = z.strictObject({
  id: z.string().max(60).describe("Id of the terminal"),
  createdBy: Subject.nullable().describe("Who opened it"),
  kind: z.enum(["operator", "agent"]).nullable().describe("Operator's or agent's"),
  command: z.string().max(200).describe("Program, as reported by the machine"),
  running: z.boolean().describe("Whether its program still runs"),
  viewers: z.int().describe("Attached viewers"),
});
export type TerminalView = z.infer<typeof TerminalView>;

/** The changes of a review machine. */
export const ReviewView = z.strictObject({
  repo: HostPath,
  base: z.string().max(64).describe("Commit the clone was made from"),
  head: z.string().max(64).describe("Commit of the changes"),
  files: z
    .array(
      z.strictObject({ path: z.string().max(4096), added: z.int().nullable(), removed: z.int().nullable() }),
    )
    .max(20_000)
    .describe("Changed files, names escaped"),
  diff: z.string().max(8_388_608).describe("The diff, control characters escaped"),
  truncated: z.boolean().describe("Whether the diff was cut"),
  warnings: z.array(z.string().max(1000)).max(100).describe("What a careful reviewer should look at first"),
});
export type ReviewView = z.infer<typeof ReviewView>;

const ByMachine = z.strictObject({ machine: z.string().min(1).max(60).describe("Name or id of a machine") });

/** Routes of machines. */
export const MACHINE_ROUTES = {
  "machines.up": route({
    method: "POST",
    path: "/v1/machines",
    access: "operator",
    summary: "Launch a machine, or return the one that fits",
    body: UpRequest,
    result: UpResult,
    answer: "ndjson",
  }),
  "machines.list": route({
    method: "GET",
    path: "/v1/machines",
    access: "grant",
    summary: "Machines; for a grant, its own",
    result: z.strictObject({ machines: z.array(MachineView) }),
  }),
  "machines.get": route({
    method: "GET",
    path: "/v1/machines/{machine}",
    access: "grant",
    summary: "One machine",
    params: ByMachine,
    result: MachineView,
  }),
  "machines.inspect": route({
    method: "GET",
    path: "/v1/machines/{machine}/inspection",
    access: "operator",
    summary: "One machine with profile and fingerprint",
    params: ByMachine,
    result: MachineInspection,
  }),
  "machines.mountEvidence": route({
    method: "GET",
    path: "/v1/machines/{machine}/mount-evidence",
    access: "operator",
    summary: "AgentMachineMountEvidence of a machine's last launch",
    params: ByMachine,
    result: AgentMachineMountEvidence,
  }),
  "machines.start": route({
    method: "POST",
    path: "/v1/machines/{machine}/start",
    access: "operator",
    summary: "Launch a stopped machine again",
    params: ByMachine,
    body: z.strictObject({ timeToLive: Duration.optional() }),
    result: MachineView,
    answer: "ndjson",
  }),
  "machines.stop": route({
    method: "POST",
    path: "/v1/machines/{machine}/stop",
    access: "operator",
    summary: "Stop a machine, keeping its definition and home",
    params: ByMachine,
    result: MachineView,
  }),
  "machines.extend": route({
    method: "POST",
    path: "/v1/machines/{machine}/extend",
    access: "operator",
    summary: "Give a running machine more time",
    params: ByMachine,
    body: z.strictObject({ for: Duration }),
    result: MachineView,
  }),
  "machines.remove": route({
    method: "DELETE",
    path: "/v1/machines/{machine}",
    access: "operator",
    summary: "Delete a machine with its home and review clones",
    params: ByMachine,
    query: z.strictObject({ force: z.enum(["true", "false"]).optional() }),
    result: z.strictObject({ removed: MachineId }),
  }),
  "machines.logs": route({
    method: "GET",
    path: "/v1/machines/{machine}/logs",
    access: "operator",
    summary: "Last lines of the machine's own output",
    params: ByMachine,
    query: z.strictObject({ lines: z.coerce.number().int().min(1).max(10_000).optional() }),
    result: z.strictObject({ text: z.string() }),
  }),
  "machines.terminals": route({
    method: "GET",
    path: "/v1/machines/{machine}/terminals",
    access: "grant",
    summary: "Terminals of a machine",
    params: ByMachine,
    result: z.strictObject({ terminals: z.array(TerminalView) }),
  }),
  "machines.review": route({
    method: "GET",
    path: "/v1/machines/{machine}/review",
    access: "operator",
    summary: "Changes of a review machine",
    params: ByMachine,
    result: z.strictObject({ reviews: z.array(ReviewView) }),
  }),
  "machines.bring": route({
    method: "POST",
    path: "/v1/machines/{machine}/review",
    access: "operator",
    summary: "Bring reviewed changes back as a branch or a patch",
    params: ByMachine,
    body: z.strictObject({
      repo: z.string().max(4096).optional(),
      head: z.string().max(64).describe("Commit that was looked at"),
      as: z.enum(["branch", "patch"]),
      name: z.string().min(1).max(200).describe("Branch name, or path of the patch file"),
    }),
    result: z.strictObject({
      repo: HostPath,
      as: z.enum(["branch", "patch"]),
      name: z.string(),
      commit: z.string(),
    }),
  }),
} as const;
