import { DenialError, DoorwardError, ServedGrant, type Operation } from "@doorward/contracts";
import { earlier, type Clock, type Deadline } from "./clock.ts";
import { GrantEntry } from "./entry.ts";
import type { GrantAsk, GrantMachine, GrantPolicy } from "./ports.ts";
import type { Scope } from "./scope.ts";
import { newGrantId } from "./token.ts";

/** Ten years. */
const LONGEST_SECONDS = 3650 * 86_400;

/** Everything that a new grant is made from, decided. */
export interface Issue {
  readonly subject: string;
  readonly by: string;
  readonly machine: GrantMachine;
  readonly scope: Scope;
  readonly seconds: number;
  readonly policyHash: string;
  readonly implicit: boolean;
  readonly parent: GrantEntry | undefined;
}

/** A new entry, not yet in the ledger; its document is checked against the contract (INPUT_INVALID). */
export function newEntry(issue: Issue, clock: Clock, id = newGrantId()): GrantEntry {
  const { parent, machine, seconds } = issue;
  const now = { wall: clock.wall(), monotonic: clock.monotonic() };
  const deadline = deadlineAfter(seconds, clock, parent);
  const stored = {
    grant: documentOf(issue, id, now.wall, deadline.wall),
    tokenHash: null,
    implicit: issue.implicit,
    depth: parent === undefined ? 0 : parent.stored.depth + 1,
    machine: {
      name: machine.name,
      profile: machine.profile,
      repoHostPaths: [...machine.repoHostPaths],
      doors: [...machine.doors],
    },
    time: timeOf(deadline, seconds, clock),
    end: null,
    lastUsedAt: null,
  };
  return new GrantEntry(stored, deadline, { minting: true, kept: !issue.implicit });
}

/** Throws INPUT_INVALID unless a grant can last so long. */
export function checkSeconds(seconds: number): void {
  if (Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= LONGEST_SECONDS) return;
  const message = `Cannot make grant: ${seconds} s is not a time between 1 s and ${LONGEST_SECONDS} s`;
  throw new DoorwardError({ code: "INPUT_INVALID", message });
}

/** The end of a time that begins now, never after the parent's. */
export function deadlineAfter(seconds: number, clock: Clock, parent: GrantEntry | undefined): Deadline {
  const own = { wall: clock.wall() + seconds * 1000, monotonic: clock.monotonic() + seconds * 1000 };
  return parent === undefined ? own : earlier(own, parent.deadline);
}

/** The stored form of a deadline of a period that begins now. */
export function timeOf(deadline: Deadline, seconds: number, clock: Clock): GrantEntry["stored"]["time"] {
  const startedAt = clock.monotonic();
  const lifetimeMs = Math.max(0, deadline.monotonic - startedAt);
  return { epoch: clock.epoch, startedAt, lifetimeMs, spentMs: 0, seconds };
}

/** The rule that allows what is asked; a refusal of the policy becomes GRANT_TOO_WIDE. */
export function judge(policy: GrantPolicy, ask: GrantAsk): string {
  try {
    return policy.decideGrant(ask).rule;
  } catch (cause) {
    if (!(cause instanceof DenialError) || cause.code === "GRANT_TOO_WIDE") throw cause;
    const { rule, message, hint, details } = cause;
    throw new DenialError({ code: "GRANT_TOO_WIDE", rule, message, hint, details, cause });
  }
}

/** Why the policy does not allow a grant any more; undefined when it does. What can't be judged is not allowed. */
export function refusalOf(policy: GrantPolicy, { grant, stored }: GrantEntry): string | undefined {
  const { subject, doors, operations, capabilities, tools } = grant;
  const { time, machine, implicit } = stored;
  // An implicit grant ends with its connection; its time is an outer bound that nobody asked for.
  const seconds = implicit ? 1 : time.seconds;
  try {
    judge(policy, { subject, doors, operations, capabilities, tools, seconds, profile: machine.profile });
    return undefined;
  } catch (error) {
    const rule = error instanceof DenialError ? error.rule : "policy";
    return `${rule}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/**
 * Refuses what would make evidence name the wrong one: only the operator's own grants can name whom they like, and never the
 * operator. What a plugin does stays its own, and an agent names sessions of its own kind alone: what a client may call, and
 * what it was refused, goes by its kind.
 */
export function checkChildSubject(subject: string, parent: GrantEntry): void {
  const holder = parent.grant.subject;
  if (subject === holder) return;
  if (!subject.startsWith("operator:") && (holder.startsWith("operator:") || sameKind(subject, holder)))
    return;
  throw new DenialError({
    code: "GRANT_TOO_WIDE",
    rule: "grant.subject",
    message: `Cannot narrow grant "${parent.id}": its holder "${holder}" can't name "${subject}"`,
    details: { grant: parent.id, subject },
  });
}

/** Whether two subjects are sessions of one kind of client. */
function sameKind(one: string, other: string): boolean {
  const [kind, name] = one.split(":");
  const [otherKind, otherName] = other.split(":");
  if (kind !== otherKind || kind === "plugin") return false;
  return kind !== "agent" || name === otherName;
}

/** Throws unless one of the operator's own subjects asks. */
export function checkOperator(subject: string, operations: readonly Operation[]): void {
  if (subject.startsWith("operator:")) return;
  throw new DenialError({
    code: "OPERATOR_ONLY",
    rule: "grant.implicit",
    message: `Cannot grant ${operations.join(", ")} without a token: "${subject}" is not the operator`,
  });
}

function documentOf(issue: Issue, id: string, issuedAt: number, expiresAt: number): ServedGrant {
  const bare = id.slice(2);
  const document = ServedGrant.safeParse({
    id: `urn:srcos:host-interface-grant:${bare}`,
    type: "HostInterfaceGrant",
    specVersion: "0.1.0",
    grantId: id,
    subject: issue.subject,
    workspaceRef: `urn:srcos:agent-machine-workspace:${issue.machine.id}`,
    machine: issue.machine.id,
    doors: issue.scope.doors,
    operations: issue.scope.operations,
    repoPaths: issue.scope.paths,
    ...(issue.scope.capabilities.length === 0 ? {} : { capabilities: issue.scope.capabilities }),
    ...(issue.scope.tools === null ? {} : { tools: issue.scope.tools }),
    issuedAt: new Date(issuedAt).toISOString(),
    issuedBy: issue.by,
    expiresAt: new Date(expiresAt).toISOString(),
    policyHash: issue.policyHash,
    revocationRef: `urn:srcos:revocation:${bare}`,
    parent: issue.parent?.id ?? null,
  });
  if (document.success) return document.data;
  const [problem] = document.error.issues;
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot make grant: field "${problem?.path.join(".") ?? ""}": ${problem?.message ?? "invalid"}`,
    cause: document.error,
  });
}
