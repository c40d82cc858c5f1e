import type { EvidencePredicate } from "@doorward/contracts";
import { NOT_KNOWN, detail, seconds } from "./summary-words.ts";

const toolEndings = {
  completed: "",
  failed: ", which failed",
  refused: "",
  pending: ", which waits for approval",
  cancelled: ", which was cancelled",
  "timed-out": ", which took too long",
  cut: ", which was cut",
  "bridge-lost": `: ${NOT_KNOWN}`,
} as const;

/** What a call of a tool did, and what it would do, in words; others are named. */
const toolVerbs: Partial<Record<string, readonly [did: string, wanted: string]>> = {
  read_file: ["read", "read"],
  "resources/read": ["read", "read"],
  list_directory: ["listed", "list"],
  find_files: ["looked for files in", "look for files in"],
  search_files: ["searched", "search"],
  git_status: ["asked for git's status of", "ask for git's status of"],
  git_diff: ["asked for git's changes of", "ask for git's changes of"],
  write_file: ["wrote", "write"],
  edit_file: ["edited", "edit"],
  apply_patch: ["patched", "patch"],
  run_command: ["ran", "run"],
};

/** The same of tools whose records name no object. */
const plainVerbs: typeof toolVerbs = {
  list_commands: ["looked at its commands", "look at its commands"],
  command_output: ["looked at a command's output", "look at a command's output"],
  send_input: ["typed to a command", "type to a command"],
  stop_command: ["stopped a command", "stop a command"],
  check_approval: ["asked what was decided", "ask what was decided"],
};

/** A tool call as one line. */
export function toolCall(p: EvidencePredicate<"tool-call">): string {
  const what = p.program ?? p.target;
  const exit = p.exitCode === null ? "" : ` (exit ${String(p.exitCode)})`;
  const object = what === null ? "" : ` ${what}`;
  return `${p.subject} ${deed(p, object)} in ${p.machine.name}${exit}${took(p)}${toolEndings[p.outcome]}${p.outcome === "bridge-lost" ? "" : code(p.code)}${approved(p.approval)}`;
}

function deed({ tool, outcome, exitCode }: EvidencePredicate<"tool-call">, object: string): string {
  const verbs = object === "" ? plainVerbs : toolVerbs;
  const [did, wanted] = verbs[tool] ?? [`called ${tool}`, `call ${tool}`];
  if (outcome === "refused") return `was refused to ${wanted}${object}`;
  if (outcome === "pending") return `asked to ${wanted}${object}`;
  if (outcome === "bridge-lost") return `began to ${wanted}${object}`;
  if (tool === "run_command" && outcome === "completed" && exitCode === null)
    return `started${object} in the background`;
  return outcome === "completed" ? `${did}${object}` : `tried to ${wanted}${object}`;
}

function took({ outcome, durationMs }: EvidencePredicate<"tool-call">): string {
  return ["refused", "pending", "bridge-lost"].includes(outcome) ? "" : ` in ${seconds(durationMs)}`;
}

const hostVerbs = {
  "system.clipboard.read": "read the clipboard",
  "system.clipboard.write": "wrote the clipboard",
  "system.hosts.write": "changed the hosts file",
  "system.fs.mutate": "changed files",
  "system.process.exec": "ran",
  "system.workflow.run": "ran workflow",
} as const;

/** A host action, or a step of one, as one line. */
export function hostAction(p: EvidencePredicate<"host-action">): string {
  const what = `${hostVerbs[p.action]}${object(p)}`;
  const scope = p.scope === null ? "" : ` in scope ${p.scope}`;
  return `${p.subject}${verbFor(p)} ${what} on the host${scope}${p.dryRun ? " (dry run)" : ""}${ending(p)}`;
}

function object({ program, target, workflow, operationCount }: EvidencePredicate<"host-action">): string {
  if (workflow !== null) {
    const { step } = workflow;
    return ` ${quoted(workflow.title)}${step === null ? "" : `, step ${String(step.index + 1)} ${quoted(step.title)}`}`;
  }
  if (program !== null) return ` ${program}`;
  if (target !== null) return ` (${target})`;
  return operationCount > 1 ? ` (${String(operationCount)} operations)` : "";
}

function verbFor({ event, outcome, dryRun }: EvidencePredicate<"host-action">): string {
  if (outcome === "refused") return " was refused:";
  if (dryRun) return " tried:";
  return event === "began" ? " began:" : ":";
}

function ending(p: EvidencePredicate<"host-action">): string {
  if (p.event === "began") return confirmed(p);
  const step = p.event === "step" ? p.workflow?.step : null;
  const outcome = step?.status ?? p.outcome;
  const exit = p.exitCode === null ? "" : ` (exit ${String(p.exitCode)})`;
  return `, ${outcome}${exit} after ${seconds(p.durationMs)}${code(p.code)}${detail(p.violation)}${confirmed(p)}`;
}

function confirmed({ confirmation, approval }: EvidencePredicate<"host-action">): string {
  if (confirmation === "not-needed") return "";
  return `, ${confirmation === "policy" ? "confirmed by policy" : confirmation}${approval === null ? "" : ` (${approval})`}`;
}

/** A change of a plugin's state as one line. */
export function pluginLifecycle(p: EvidencePredicate<"plugin-lifecycle">): string {
  const { id, version } = p.plugin;
  const how = p.outcome === "done" ? `went from ${p.from} to ${p.to}` : `was refused ${p.to} (is ${p.from})`;
  return `plugin ${id} ${version} ${how} by ${p.cause} of ${p.subject}${code(p.code)}${detail(p.detail)}`;
}

/** A plugin's host call as one line. */
export function pluginHostCall(p: EvidencePredicate<"plugin-host-call">): string {
  const scope = p.scope === null ? "" : ` on ${p.scope}`;
  const how = p.decision === "allowed" ? ` in ${seconds(p.durationMs)}` : ", which was denied";
  return `plugin ${p.plugin.id} called ${p.call}${scope}${how}${code(p.code)}${approved(p.approval)}`;
}

function approved(approval: string | null): string {
  return approval === null ? "" : ` (${approval})`;
}

function code(value: string | null): string {
  return value === null ? "" : `: ${value}`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
