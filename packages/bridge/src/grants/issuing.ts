import { DenialError, DoorwardError, toDoorwardError, type Operation } from "@doorward/contracts";
import { earlier, remaining, type Clock } from "./clock.ts";
import type { GrantEndings } from "./endings.ts";
import { endedError, type GrantEntry, type LiveGrant } from "./entry.ts";
import {
  checkChildSubject,
  checkOperator,
  checkSeconds,
  deadlineAfter,
  judge,
  newEntry,
  timeOf,
  type Issue,
} from "./issue.ts";
import type { GrantLedger } from "./ledger.ts";
import type { GrantEvent, GrantEvidence, GrantMachine, GrantPolicy } from "./ports.ts";
import { mintedScope, narrowedScope, type Scope, type ScopeAsk } from "./scope.ts";
import { newToken } from "./token.ts";

/** Steps from the operator's grant to the last child. */
export const MAX_DEPTH = 8;
/** Live grants that can come from one that the operator minted. */
export const MAX_DESCENDANTS = 256;
/** An implicit grant ends with its connection; this is only its outer bound. */
const IMPLICIT_SECONDS = 30 * 86_400;

/** What the operator grants. */
export interface MintRequest extends ScopeAsk {
  readonly machine: GrantMachine;
  readonly subject: string;
  readonly operations: readonly Operation[];
  readonly seconds: number;
}

/** How a child is narrower than its parent; what is left out stays. */
export interface Narrowing extends ScopeAsk {
  readonly subject?: string | undefined;
  readonly seconds?: number | undefined;
}

/** A grant for one command of the operator. */
export interface ImplicitRequest {
  readonly subject: string;
  readonly machine: GrantMachine;
  readonly operations: readonly Operation[];
}

/** A grant that lives as long as one connection; ending it twice is harmless. */
export interface ImplicitGrant extends LiveGrant {
  end(): void;
}

/** A new grant with the token that is shown this once. */
export interface Issued {
  readonly entry: GrantEntry;
  readonly token: string;
}

/** What issuing works with. */
export interface IssuingParts {
  readonly ledger: GrantLedger;
  readonly endings: GrantEndings;
  readonly evidence: GrantEvidence;
  readonly clock: Clock;
  /** The policy in force at this moment. */
  readonly policy: () => GrantPolicy;
  /** Called when a deadline was added or moved. */
  readonly deadlinesChanged: () => void;
}

/** Makes new grants and moves their end. Whatever gives more rights waits for its durable record. */
export class GrantIssuing {
  readonly #parts: IssuingParts;

  constructor(parts: IssuingParts) {
    this.#parts = parts;
  }

  async mint(request: MintRequest, by: string): Promise<Issued> {
    const { machine, subject, seconds } = request;
    const policy = this.#parts.policy();
    const { scope, rule } = decideMint(request, policy);
    const made = { implicit: false, parent: undefined, policyHash: policy.hash };
    const issue = { subject, by, machine, scope, seconds, ...made };
    return this.#issue(issue, (event) => this.#parts.evidence.minted({ ...event, implicit: false, rule }));
  }

  async narrow(parent: GrantEntry, request: Narrowing, by: string): Promise<Issued> {
    const subject = request.subject ?? parent.grant.subject;
    checkChildSubject(subject, parent);
    this.#checkFamily(parent);
    const { grant, machine } = parent.stored;
    const covered = {
      doors: grant.doors,
      operations: grant.operations,
      paths: grant.repoPaths,
      capabilities: grant.capabilities ?? [],
      tools: grant.tools ?? null,
    };
    const scope = narrowedScope(request, covered, machine.repoHostPaths);
    const seconds = request.seconds ?? Math.ceil(this.#left(parent) / 1000);
    if (request.seconds !== undefined) this.#checkTime(parent, seconds, "narrow");
    const policy = this.#parts.policy();
    const rule = judge(policy, { subject, ...asked(scope), seconds, profile: machine.profile });
    const made = { implicit: false, parent, policyHash: policy.hash };
    const issue = { subject, by, machine: { ...machine, id: grant.machine }, scope, seconds, ...made };
    return this.#issue(issue, (event) =>
      this.#parts.evidence.narrowed({ ...event, parent: parent.id, rule }),
    );
  }

  /** Gives a live grant a new end, from now. Children that would outlive it end with it. */
  async renew(entry: GrantEntry, seconds: number, by: string): Promise<void> {
    const { ledger, clock } = this.#parts;
    const { grant, machine } = entry.stored;
    this.#checkTime(ledger.parentOf(entry), seconds, "renew");
    const { subject, doors, operations, capabilities, tools } = grant;
    const ask = { subject, doors, operations, capabilities, tools, seconds, profile: machine.profile };
    const rule = judge(this.#parts.policy(), ask);
    const deadline = deadlineAfter(seconds, clock, ledger.parentOf(entry));
    const time = timeOf(deadline, seconds, clock);
    const renewed = { ...grant, expiresAt: new Date(deadline.wall).toISOString() };
    const event = { ...eventOf(entry, by), grant: renewed, previousExpiresAt: grant.expiresAt, rule };
    await durable(() => this.#parts.evidence.renewed(event), `renew grant "${entry.id}"`);
    // While the record was written the grant may have ended, or another policy may have come into force.
    this.#parts.endings.checkLive(entry);
    judge(this.#parts.policy(), ask);
    entry.stored = { ...entry.stored, grant: renewed, time };
    entry.deadline = deadline;
    // The parent may have been renewed to end earlier meanwhile, so the renewed grant is held within it too.
    const family = ledger.subtree(entry).filter(({ live }) => live);
    for (const one of family) this.#holdWithinParent(one);
    ledger.save(family);
    this.#parts.deadlinesChanged();
  }

  /** The store does not keep it, for it dies with this process. Its record is written beside: the record that opens the session comes after it in the log, and that one blocks. */
  mintImplicit({ subject, machine, operations }: ImplicitRequest): ImplicitGrant {
    const { ledger, clock, endings, evidence } = this.#parts;
    checkOperator(subject, operations);
    const scope = mintedScope({ operations }, machine);
    const policyHash = this.#parts.policy().hash;
    const made = { seconds: IMPLICIT_SECONDS, implicit: true, parent: undefined, policyHash };
    const entry = newEntry({ subject, by: subject, machine, scope, ...made }, clock);
    entry.minting = false;
    ledger.add(entry);
    this.#parts.deadlinesChanged();
    const event = { ...eventOf(entry, subject), implicit: true, rule: "grant.implicit" };
    const written = durable(() => evidence.minted(event), `grant ${operations.join(", ")}`);
    endings.background(
      written.catch((cause: unknown) => {
        const ending = connectionEnd("its record could not be written");
        endings.tryEnd([entry], { ...ending, error: toDoorwardError(cause) });
      }),
    );
    return implicitGrant(entry, () => endings.tryEnd([entry], connectionEnd("its connection was closed")));
  }

  /**
   * The entry is in the ledger while its record is written, so that whatever ends grants meanwhile (its parent revoked,
   * its machine removed, another policy) ends this one too.
   */
  async #issue(issue: Issue, record: (event: GrantEvent) => Promise<void>): Promise<Issued> {
    const { ledger, clock, endings } = this.#parts;
    const entry = newEntry(issue, clock);
    const { token, hash } = newToken(entry.id);
    entry.stored = { ...entry.stored, tokenHash: hash };
    ledger.add(entry);
    try {
      await durable(() => record(eventOf(entry, issue.by)), `make grant for "${issue.subject}"`);
    } catch (error) {
      ledger.drop(entry);
      throw error;
    }
    this.#activate(entry);
    this.#parts.deadlinesChanged();
    const { end } = entry.stored;
    if (end === null) return { entry, token };
    endings.record([entry]);
    throw endedError(entry.id, end);
  }

  #activate(entry: GrantEntry): void {
    const { ledger, endings } = this.#parts;
    entry.minting = false;
    try {
      ledger.save([entry]);
    } catch (error) {
      endings.tryEnd([entry], { ...connectionEnd("it could not be stored"), cause: "command" });
      throw error;
    }
  }

  #holdWithinParent(child: GrantEntry): void {
    const { ledger, clock } = this.#parts;
    const parent = ledger.parentOf(child);
    if (parent === undefined) return;
    const { wall, monotonic } = child.deadline;
    child.deadline = earlier(child.deadline, parent.deadline);
    if (child.deadline.wall === wall && child.deadline.monotonic === monotonic) return;
    const expiresAt = new Date(child.deadline.wall).toISOString();
    const time = timeOf(child.deadline, child.stored.time.seconds, clock);
    child.stored = { ...child.stored, grant: { ...child.grant, expiresAt }, time };
  }

  #checkFamily(parent: GrantEntry): void {
    const { ledger } = this.#parts;
    const doing = `Cannot narrow grant "${parent.id}"`;
    if (parent.stored.depth >= MAX_DEPTH) {
      const message = `${doing}: it is already ${MAX_DEPTH} steps from the operator's grant`;
      throw new DenialError({ code: "GRANT_TOO_WIDE", rule: "grant.depth", message });
    }
    const family = ledger.subtree(ledger.rootOf(parent)).filter(({ live }) => live);
    if (family.length > MAX_DESCENDANTS) {
      const message = `${doing}: ${MAX_DESCENDANTS} grants made from the same one are live`;
      throw new DenialError({ code: "RATE_LIMITED", rule: "grant.descendants", message });
    }
  }

  #checkTime(parent: GrantEntry | undefined, seconds: number, doing: string): void {
    checkSeconds(seconds);
    if (parent === undefined || seconds * 1000 <= this.#left(parent)) return;
    const { id, grant } = parent;
    throw new DenialError({
      code: "GRANT_TOO_WIDE",
      rule: "grant.time",
      message: `Cannot ${doing} grant: ${seconds} s would outlive "${id}", which ends at ${grant.expiresAt}`,
      details: { parent: id, expiresAt: grant.expiresAt },
    });
  }

  #left(entry: GrantEntry): number {
    return remaining(this.#parts.clock, entry.deadline);
  }
}

/** What a grant would cover, and the rule of a policy that allows it; throws what minting it would be refused with. */
export function decideMint(request: MintRequest, policy: GrantPolicy): { scope: Scope; rule: string } {
  const { machine, subject, seconds } = request;
  checkSeconds(seconds);
  const scope = mintedScope(request, machine);
  const { profile, agentTool } = machine;
  return { scope, rule: judge(policy, { subject, ...asked(scope), seconds, profile, agentTool }) };
}

/** A scope as policies judge it. */
function asked({ doors, operations, capabilities, tools }: Scope) {
  return { doors, operations, capabilities, tools: tools ?? undefined };
}

/** What every record says of a grant. */
function eventOf(entry: GrantEntry, by: string): GrantEvent {
  const { grant, machine } = entry.stored;
  return { grant, machine: { id: grant.machine, name: machine.name }, by };
}

function connectionEnd(reason: string) {
  return { status: "revoked", cause: "connection-end", reason, by: null } as const;
}

async function durable(record: () => Promise<void>, doing: string): Promise<void> {
  try {
    await record();
  } catch (cause) {
    if (cause instanceof DenialError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot ${doing}: its record could not be made durable: ${why}`;
    throw new DoorwardError({ code: "EVIDENCE_UNWRITABLE", message, hint: "doorward doctor", cause });
  }
}

function implicitGrant(entry: GrantEntry, end: () => void): ImplicitGrant {
  return {
    id: entry.id,
    implicit: true,
    get grant() {
      return entry.grant;
    },
    get signal() {
      return entry.signal;
    },
    end,
  };
}
