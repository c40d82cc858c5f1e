import {
  DenialError,
  durationSeconds,
  type AgentToolDoorSpec,
  type DoorName,
  type Operation,
  type Policy,
  type PolicyGrantRule,
  type ToolName,
} from "@doorward/contracts";
import { LONGEST_GRANT_SECONDS } from "./check-policy.ts";

/** What somebody asks to be granted. */
export interface GrantAsk {
  readonly subject: string;
  readonly doors: readonly DoorName[];
  readonly operations: readonly Operation[];
  /** Capabilities of host actions; none when absent. */
  readonly capabilities?: readonly string[] | undefined;
  /** Tools of the agent-tool door; those of the operations when absent. */
  readonly tools?: readonly ToolName[] | undefined;
  /** The agent-tool door of the machine as it is in force; that of its profile when absent. */
  readonly agentTool?: AgentToolDoorSpec | null | undefined;
  readonly seconds: number;
  readonly profile: string;
}

/** Names the rule that allows a grant. One rule must cover all of it: a sum of rules could not be explained. */
export function decideGrant(policy: Policy, ask: GrantAsk, file: string): { readonly rule: string } {
  if (ask.subject.startsWith("operator:")) return decideOperator(ask);
  const rules = [...(policy.grants ?? []).entries()].filter(([, rule]) => fitsSubject(rule.to, ask.subject));
  if (rules.length === 0) throw noRule(ask, file);
  const misfits = rules.map(([index, rule]) => ({ index, misfit: misfitOf(rule, ask) }));
  const fitting = misfits.find(({ misfit }) => misfit === null);
  if (fitting !== undefined) return { rule: `policy.grants[${fitting.index}]` };
  const [nearest] = misfits;
  throw tooWide(ask, `policy.grants[${nearest?.index ?? 0}]`, nearest?.misfit ?? "", file);
}

/** Whether a rule's `to` means a subject: the same, or the start of it when it ends with `*`. */
function fitsSubject(to: string, subject: string): boolean {
  return to.endsWith("*") ? subject.startsWith(to.slice(0, -1)) : subject === to;
}

function decideOperator(ask: GrantAsk): { readonly rule: string } {
  if (ask.seconds <= LONGEST_GRANT_SECONDS) return { rule: "policy.operator" };
  throw tooWide(ask, "policy.operator", "no grant lasts longer than 30d", "");
}

function misfitOf(rule: PolicyGrantRule, ask: GrantAsk): string | null {
  const door = ask.doors.find((name) => !rule.doors.includes(name));
  if (door !== undefined) return `it does not contain the door "${door}"`;
  const operation = ask.operations.find((name) => !rule.operations.includes(name));
  if (operation !== undefined) return `it does not contain "${operation}"`;
  const capability = ask.capabilities?.find((name) => rule.capabilities?.includes(name) !== true);
  if (capability !== undefined) return `it does not contain the capability "${capability}"`;
  if (rule.profiles !== undefined && !rule.profiles.includes(ask.profile)) {
    return `it does not cover the profile "${ask.profile}"`;
  }
  return ask.seconds > durationSeconds(rule.for) ? `it allows at most ${rule.for}` : null;
}

function noRule(ask: GrantAsk, file: string): DenialError {
  return new DenialError({
    code: "POLICY_DENIED",
    message: `Cannot grant to "${ask.subject}": no rule of the policy names this subject`,
    rule: "policy.grants",
    hint: `Add to grants in ${file}: { to: "${ask.subject}", doors: [${ask.doors.join(", ")}], operations: [${ask.operations.join(", ")}], for: 8h }`,
  });
}

function tooWide(ask: GrantAsk, rule: string, why: string, file: string): DenialError {
  return new DenialError({
    code: "GRANT_TOO_WIDE",
    message: `Cannot grant to "${ask.subject}": ${rule} is exceeded, ${why}`,
    rule,
    hint: file === "" ? "doorward grant create N --for 30d" : `Ask for less, or change ${rule} in ${file}`,
  });
}
