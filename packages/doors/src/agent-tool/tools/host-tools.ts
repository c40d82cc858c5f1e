import {
  ACTION_LIMITS,
  ActionPath,
  FileOperation,
  HostsRecord,
  ScopeId,
  WorkflowStep,
  filesystemScopeCapability,
  processScopeCapability,
} from "@doorward/contracts";
import * as z from "zod";
import { defineTool, type Tool } from "../tool.ts";
import { HostOutput, act, dryRunField, holds, reasonField } from "./host-action.ts";

const CONFIRMED =
  "The operator confirms it on the host: it answers with a pending handle for check_approval.";
const once = { idempotent: false, destructive: true };

const clipboardRead = defineTool({
  name: "host_clipboard_read",
  title: "Read the host's clipboard",
  description: `Reads the text of the clipboard of the user's own computer, outside of the machine. ${CONFIRMED}`,
  input: z.strictObject({ reason: reasonField, dry_run: dryRunField }),
  output: HostOutput,
  hints: { idempotent: true, destructive: false },
  offered: (session) => holds(session, "host_clipboard_read", "system.clipboard.read"),
  call: ({ reason, dry_run: dryRun = false }, call) =>
    act("host_clipboard_read", { action: "system.clipboard.read", payload: { reason, dryRun } }, call),
});

const clipboardWrite = defineTool({
  name: "host_clipboard_write",
  title: "Write the host's clipboard",
  description: `Replaces the text of the clipboard of the user's own computer, outside of the machine. ${CONFIRMED}`,
  input: z.strictObject({
    text: z.string().min(1).max(ACTION_LIMITS.clipboardBytes).describe("The text"),
    reason: reasonField,
    dry_run: dryRunField,
  }),
  output: HostOutput,
  hints: once,
  offered: (session) => holds(session, "host_clipboard_write", "system.clipboard.write"),
  call: ({ text, reason, dry_run: dryRun = false }, call) =>
    act(
      "host_clipboard_write",
      { action: "system.clipboard.write", payload: { text, reason, dryRun } },
      call,
    ),
});

const hostsWrite = defineTool({
  name: "host_hosts_write",
  title: "Write the host's hosts file",
  description: `Sets the records of one tagged section of the hosts file of the user's own computer. ${CONFIRMED}`,
  input: z.strictObject({
    records: z.array(HostsRecord).min(1).max(ACTION_LIMITS.hostsRecords).describe("Records of the section"),
    tag: z.string().min(1).max(200).optional().describe("Name of the section"),
    reason: reasonField,
    dry_run: dryRunField,
  }),
  output: HostOutput,
  hints: once,
  offered: (session) => holds(session, "host_hosts_write", "system.hosts.write"),
  call: ({ dry_run: dryRun = false, ...payload }, call) =>
    act("host_hosts_write", { action: "system.hosts.write", payload: { ...payload, dryRun } }, call),
});

const changeFiles = defineTool({
  name: "host_change_files",
  title: "Change files on the host",
  description:
    "Changes files of the user's own computer, outside of the machine, within a scope of the policy that the grant names. " +
    `All operations are checked before the first is done. ${CONFIRMED}`,
  input: z.strictObject({
    scope: ScopeId,
    operations: z
      .array(FileOperation)
      .min(1)
      .max(ACTION_LIMITS.fileOperations)
      .describe("Operations, in order; paths are those of the host"),
    reason: reasonField,
    dry_run: dryRunField,
  }),
  output: HostOutput,
  hints: once,
  offered: (session) =>
    holds(session, "host_change_files", "system.hosts.write") &&
    holdsScope(session, filesystemScopeCapability("")),
  call: ({ dry_run: dryRun = false, ...payload }, call) =>
    act("host_change_files", { action: "system.fs.mutate", payload: { ...payload, dryRun } }, call),
});

const runCommand = defineTool({
  name: "host_run_command",
  title: "Run a program on the host",
  description:
    "Runs one program of the user's own computer, outside of the machine, within a scope of the policy that the grant " +
    `names; no shell takes its arguments apart. For work in the repository use run_command. ${CONFIRMED}`,
  input: z.strictObject({
    scope: ScopeId,
    command: ActionPath.describe("Absolute path of the program on the host"),
    args: z
      .array(z.string().max(ACTION_LIMITS.argumentBytes))
      .max(ACTION_LIMITS.arguments)
      .optional()
      .describe("Arguments, without the program"),
    cwd: ActionPath.optional().describe("Working folder on the host"),
    env: z.record(z.string(), z.string()).optional().describe("Variables; only those that the scope allows"),
    timeout_seconds: z.int().min(1).max(86_400).optional().describe("Time limit; the scope's when absent"),
    stdin: z.string().max(ACTION_LIMITS.inputBytes).optional().describe("Standard input"),
    reason: reasonField,
    dry_run: dryRunField,
  }),
  output: HostOutput,
  hints: once,
  offered: (session) =>
    holds(session, "host_run_command", "system.process.exec") &&
    holdsScope(session, processScopeCapability("")),
  call: ({ dry_run: dryRun = false, timeout_seconds: limit, stdin, ...payload }, call) => {
    const timeoutMs = limit === undefined ? {} : { timeoutMs: limit * 1000 };
    const input = stdin === undefined ? {} : { input: stdin };
    const request = {
      action: "system.process.exec",
      payload: { ...payload, ...timeoutMs, ...input, dryRun },
    };
    return act("host_run_command", request, call);
  },
});

const runWorkflow = defineTool({
  name: "host_run_workflow",
  title: "Run programs on the host in order",
  description:
    "Runs several programs of the user's own computer in order, within a scope of the policy that the grant names. " +
    `Every step is checked before the first runs; look at the status of each. ${CONFIRMED}`,
  input: z.strictObject({
    scope: ScopeId,
    title: z.string().min(1).max(200).describe("Title for the operator"),
    summary: z.string().max(2000).optional().describe("What it does, for the operator"),
    steps: z.array(WorkflowStep).min(1).max(ACTION_LIMITS.steps).describe("Steps, in order"),
    reason: reasonField,
    dry_run: dryRunField,
  }),
  output: HostOutput,
  hints: once,
  offered: (session) =>
    holds(session, "host_run_workflow", "system.process.exec") &&
    holdsScope(session, processScopeCapability("")),
  call: ({ dry_run: dryRun = false, ...payload }, call) => {
    const request = {
      action: "system.workflow.run",
      payload: { kind: "process-sequence", ...payload, dryRun },
    };
    return act("host_run_workflow", request, call);
  },
});

/** Whether a grant holds a capability of any scope; which one a call needs is judged with the call. */
function holdsScope({ door }: Parameters<NonNullable<Tool["offered"]>>[0], prefix: string): boolean {
  const { capabilities } = door;
  return capabilities === "all" || [...capabilities].some((one) => one.startsWith(prefix) && one !== prefix);
}

/** Tools that act on the host itself. */
export const HOST_TOOLS: readonly Tool[] = [
  clipboardRead,
  clipboardWrite,
  hostsWrite,
  changeFiles,
  runCommand,
  runWorkflow,
];
