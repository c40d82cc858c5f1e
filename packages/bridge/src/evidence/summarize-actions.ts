import type { EvidencePredicate } from "@doorward/contracts";
import { detail, seconds } from "./summary-words.ts";

const toolEndings = {
  completed: "",
  failed: ", which failed",
  refused: ", which was refused",
  pending: ", which waits for approval",
  cancelled: ", which was cancelled",
  "timed-out": ", which took too long",
  cut: ", which was cut",
} as const;

/** A tool call as one line. */
export function toolCall(p: EvidencePredicate<"tool-call">): string {
  const what = p.program ?? p.target;
  const took = p.outcome === "refused" || p.outcome === "pending" ? "" : ` in ${seconds(p.durationMs)}`;
  const exit = p.exitCode === null ? "" : ` (exit ${String(p.exitCode)})`;
  return `${p.subject} called ${p.tool}${what === null ? "" : ` ${what}`} in ${p.machine.name}${exit}${took}${toolEndings[p.outcome]}${code(p.code)}${approved(p.approval)}`;
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
