import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ScopeViolationReason as Reasons } from "@doorward/contracts";
import type { FlowLab } from "../../packages/bridge/test/actions-flow-lab.ts";
import {
  absent,
  exec,
  files,
  inScope,
  steps,
  stepsIn,
  type Failure,
  type Row,
} from "./action-differential-requests.ts";

/** Each code of the reference host. */
export const CODES: readonly Row[] = [
  {
    name: "an unknown action",
    code: "VALIDATION_FAILED",
    request: () => ({ action: "system.root", payload: {} }),
  },
  {
    name: "a missing capability",
    ...{ code: "CAPABILITY_DENIED", capabilities: ["system.process.exec"] },
    request: (lab) => exec(lab, { args: ["say"] }),
    check: ({ details }, lab) =>
      assert.deepEqual(details, {
        requiredCapabilities: ["system.process.exec", "system.process.scope.tool"],
        missingCapabilities: ["system.process.scope.tool"],
        ...{ scope: "tool", command: lab.program },
      }),
  },
  {
    name: "the clipboard's writer reads it",
    ...{ code: "CAPABILITY_DENIED", capabilities: ["system.clipboard.write"] },
    request: () => ({ action: "system.clipboard.read", payload: {} }),
  },
  {
    name: "a scope without a policy",
    ...{ code: "SCOPE_DENIED", reason: "SCOPE_NOT_CONFIGURED" },
    request: (lab) => exec(lab, { scope: "none" }),
  },
  {
    name: "a scope of files without a policy",
    ...{ code: "SCOPE_DENIED", reason: "SCOPE_NOT_CONFIGURED" },
    request: () => ({
      ...(files() as object),
      payload: { scope: "none", operations: [{ type: "remove", path: "/x" }] },
    }),
  },
  {
    name: "outside the policy",
    ...{ code: "SCOPE_VIOLATION", reason: "COMMAND_NOT_ALLOWLISTED" },
    request: (lab) => exec(lab, { command: "/bin/sh", args: ["-c", "id"] }),
  },
  {
    name: "a refused confirmation",
    ...{ code: "CANCELLED", answer: "deny" },
    request: (lab) => files({ type: "writeFile", path: join(lab.files, "no"), content: "x" }),
    check: (_, lab) => assert.equal(existsSync(join(lab.files, "no")), false),
  },
  {
    name: "a program over its time",
    code: "TIMEOUT",
    request: (lab) => exec(lab, { args: ["sleep"], timeoutMs: 300 }),
  },
  {
    name: "an exit that is not 0",
    code: "PROCESS_EXIT_NON_ZERO",
    request: (lab) => exec(lab, { args: ["fail", "x"] }),
    check: ({ result }) => {
      const { exitCode, stderr, timedOut, dryRun } = result as Record<string, unknown>;
      assert.deepEqual([exitCode, stderr, timedOut, dryRun], [3, "failed x\n", false, false]);
    },
  },
  {
    name: "a program that is not there",
    code: "PROCESS_SPAWN_ENOENT",
    request: (lab) => inScope(lab, "gone"),
  },
  {
    name: "an interpreter that may not be executed",
    code: "PROCESS_SPAWN_PERMISSION_DENIED",
    request: (lab) => inScope(lab, "locked"),
  },
  { name: "what no loader understands", code: "OS_ERROR", request: (lab) => inScope(lab, "noise") },
  {
    name: "a folder that is not there",
    code: "OS_ERROR",
    request: (lab) => files({ type: "writeFile", path: join(lab.files, "none", "x"), content: "x" }),
  },
  {
    name: "a clipboard that can't be read",
    ...{ code: "CLIPBOARD_READ_FAILED", skip: absent("xclip") },
    request: () => ({ action: "system.clipboard.read", payload: {} }),
  },
  {
    name: "a clipboard that can't be written",
    ...{ code: "CLIPBOARD_WRITE_FAILED", skip: absent("xclip") },
    request: () => ({ action: "system.clipboard.write", payload: { text: "x" } }),
  },
  {
    name: "a step outside the policy",
    ...{ code: "STEP_SCOPE_VIOLATION", reason: "ARGUMENT_NOT_ALLOWED" },
    request: (lab) => steps(lab, { args: ["touch", "made"] }, { args: ["evil"] }),
    check: ({ details }, lab) => {
      assert.deepEqual(statuses(details), ["skipped", "failed SCOPE_VIOLATION"]);
      assert.equal(existsSync(join(lab.work, "made")), false);
    },
  },
  {
    name: "a step over its time",
    code: "STEP_TIMEOUT",
    request: (lab) => steps(lab, { args: ["sleep"], timeoutMs: 300 }, { args: ["say"] }),
    check: ({ details }) => assert.deepEqual(statuses(details), ["failed TIMEOUT", "skipped"]),
  },
  {
    name: "a step that fails",
    code: "STEP_FAILED",
    request: (lab) => steps(lab, { args: ["say"] }, { args: ["fail"] }),
    check: ({ details }) => assert.deepEqual(statuses(details), ["completed", "failed EXIT_CODE"]),
  },
  {
    name: "a step whose program is not there",
    code: "STEP_PROCESS_SPAWN_ENOENT",
    request: (lab) => stepsIn(lab, "gone"),
    check: ({ details }) => assert.deepEqual(statuses(details), ["failed PROCESS_SPAWN_ENOENT"]),
  },
  {
    name: "a step whose interpreter is not there",
    code: "STEP_PROCESS_SPAWN_ENOENT",
    request: (lab) => stepsIn(lab, "lost"),
    check: ({ details }) => assert.deepEqual(statuses(details), ["failed PROCESS_SPAWN_ENOENT"]),
  },
  {
    name: "a step whose interpreter may not be executed",
    code: "STEP_PROCESS_SPAWN_PERMISSION_DENIED",
    request: (lab) => stepsIn(lab, "locked"),
  },
  { name: "a step that the host can't run", code: "STEP_OS_ERROR", request: (lab) => stepsIn(lab, "noise") },
  {
    name: "a forwarded failure of a plugin's backend",
    code: "PLUGIN_BACKEND_HANDLER_FAILED",
    request: () => ({ success: false, error: "no handler" }),
  },
];

/** Each reason of a violated scope. */
export const REASONS: readonly Row[] = [
  {
    name: "COMMAND_PATH_NOT_ABSOLUTE",
    request: (lab: FlowLab) => exec(lab, { command: "C:\\tools\\tool.exe" }),
  },
  { name: "CWD_PATH_NOT_ABSOLUTE", request: (lab: FlowLab) => exec(lab, { args: ["say"], cwd: "C:\\work" }) },
  { name: "CWD_OUTSIDE_ALLOWED_ROOTS", request: (lab: FlowLab) => exec(lab, { args: ["say"], cwd: "/etc" }) },
  {
    name: "ENV_KEYS_NOT_ALLOWED",
    request: (lab: FlowLab) => exec(lab, { args: ["say"], env: { OTHER: "x" } }),
  },
  {
    name: "TIMEOUT_EXCEEDS_SCOPE_CEILING",
    request: (lab: FlowLab) => exec(lab, { args: ["say"], timeoutMs: 120_001 }),
  },
  { name: "ARGUMENT_POLICY_VIOLATION", request: (lab: FlowLab) => exec(lab, { args: [] }) },
  { name: "ARGUMENT_NOT_ALLOWED", request: (lab: FlowLab) => exec(lab, { args: ["say", "--loud"] }) },
  {
    name: "ARGUMENT_PATH_REQUIRES_ABSOLUTE",
    request: (lab: FlowLab) => exec(lab, { args: ["see", "a.txt"] }),
  },
  {
    name: "ARGUMENT_PATH_OUTSIDE_ALLOWED_ROOTS",
    request: (lab: FlowLab) => exec(lab, { args: ["see", "/etc/passwd"] }),
  },
  {
    name: "SCOPE_POLICY_VIOLATION",
    request: (lab: FlowLab) => exec(lab, { args: ["say"], input: "more than none" }),
  },
].map(
  ({ name, request }) => ({ name, code: "SCOPE_VIOLATION", reason: Reasons.parse(name), request }) as const,
);

function statuses(details: Failure["details"]): string[] {
  const listed = details?.["steps"] as { status: string; code?: string }[];
  return listed.map(({ status, code }) => (code === undefined ? status : `${status} ${code}`));
}
