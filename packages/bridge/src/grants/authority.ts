import {
  DenialError,
  DoorwardError,
  type GrantView,
  type MintedGrant,
  type Operation,
} from "@doorward/contracts";
import type { Logger } from "pino";
import type { Store } from "../store/store.ts";
import { didYouMean } from "../did-you-mean.ts";
import { remaining, systemClock, type Clock } from "./clock.ts";
import { GrantEndings, type Ended } from "./endings.ts";
import type { GrantEntry, LiveGrant } from "./entry.ts";
import { ExpiryWatch } from "./expiry-watch.ts";
import { refusalOf } from "./issue.ts";
import {
  GrantIssuing,
  type ImplicitGrant,
  type ImplicitRequest,
  type MintRequest,
  type Narrowing,
} from "./issuing.ts";
import { GrantLedger } from "./ledger.ts";
import type { EndListener, GrantEvidence, GrantPolicy } from "./ports.ts";
import { invalidToken, parseToken, sameHash } from "./token.ts";
import { grantView } from "./view.ts";

/** How long ended grants stay listed, and their holders are told why. */
const KEPT_MS = 30 * 86_400_000;
/** Those of the operator's own connections: nobody holds them, each command makes one, and the evidence has them. */
const IMPLICIT_KEPT_MS = 3_600_000;
/** At most so many of them, however fast commands follow each other: each takes more than a kilobyte. */
const IMPLICIT_KEPT = 2000;
const FLUSH_MS = 60_000;
const RETRY_MS = 1000;

/** What grants need of the rest of the bridge. */
export interface GrantAuthorityOptions {
  readonly store: Store;
  readonly policy: GrantPolicy;
  readonly evidence: GrantEvidence;
  /** Name of a machine; null once it is removed. */
  readonly machineName: (machineId: string) => string | null;
  readonly log: Logger;
  readonly clock?: Clock;
}

/** Mints, narrows, checks, renews and ends grants: the one place that knows whether somebody may do something now. */
export class GrantAuthority implements AsyncDisposable {
  readonly #options: GrantAuthorityOptions;
  readonly #clock: Clock;
  readonly #ledger: GrantLedger;
  readonly #endings: GrantEndings;
  readonly #issuing: GrantIssuing;
  readonly #watch: ExpiryWatch;
  #policy: GrantPolicy;
  #flushedAt: number;

  private constructor(options: GrantAuthorityOptions) {
    const { store, evidence, log, clock = systemClock() } = options;
    this.#options = options;
    this.#policy = options.policy;
    this.#clock = clock;
    this.#flushedAt = clock.monotonic();
    const ledger = new GrantLedger(store, clock);
    const endings = new GrantEndings(ledger, evidence, clock, log);
    this.#ledger = ledger;
    this.#endings = endings;
    this.#watch = new ExpiryWatch(() => this.#sweep());
    const policy = (): GrantPolicy => this.#policy;
    const deadlinesChanged = (): void => this.#watch.look();
    this.#issuing = new GrantIssuing({ ledger, endings, evidence, clock, policy, deadlinesChanged });
  }

  /** Takes up the stored grants: those of lost connections are ended, records that a crash left out are appended. */
  static open(options: GrantAuthorityOptions): GrantAuthority {
    const authority = new GrantAuthority(options);
    authority.#adopt();
    return authority;
  }

  /** Mints a grant of the operator. The token exists only once the record of it is durable. */
  async mint(request: MintRequest, by: string): Promise<MintedGrant> {
    const { entry, token } = await this.#issuing.mint(request, by);
    return { ...this.#view(entry), token };
  }

  /** Makes a child of a live grant that exceeds it in nothing (GRANT_TOO_WIDE). */
  async narrow(parentId: string, request: Narrowing, by: string): Promise<MintedGrant> {
    const { entry, token } = await this.#issuing.narrow(this.#explicit(parentId, "narrow"), request, by);
    return { ...this.#view(entry), token };
  }

  /** Gives a live grant a new end, so many seconds from now. */
  async renew(id: string, seconds: number, by: string): Promise<GrantView> {
    const entry = this.#explicit(id, "renew");
    await this.#issuing.renew(entry, seconds, by);
    return this.#view(entry);
  }

  /** Mints a grant for one command of the operator; it ends with `end`, and with the bridge. */
  mintImplicit(request: ImplicitRequest): ImplicitGrant {
    return this.#issuing.mintImplicit(request);
  }

  /** The live grant of a token; throws TOKEN_INVALID, GRANT_EXPIRED or GRANT_REVOKED. */
  authenticate(token: string): LiveGrant {
    const { grantId, hash } = parseToken(token);
    const entry = this.#ledger.find(grantId);
    const known = entry?.stored.tokenHash ?? null;
    if (entry === undefined || entry.minting || known === null || !sameHash(known, hash)) {
      throw invalidToken("this bridge never made it");
    }
    this.#endings.checkLive(entry);
    entry.touch(this.#clock.wall());
    return entry;
  }

  /** The live grant of an id; throws GRANT_NOT_FOUND, GRANT_EXPIRED or GRANT_REVOKED. */
  live(id: string): LiveGrant {
    const entry = this.#find(id);
    this.#endings.checkLive(entry);
    return entry;
  }

  /** Throws unless the grant allows the operation on the machine at this moment. Cheap: reads memory and two clocks. */
  check(grantId: string, operation: Operation, machineId: string): void {
    const entry = this.#find(grantId);
    this.#endings.checkLive(entry);
    const { machine, operations } = entry.grant;
    if (machine !== machineId) {
      const message = `Cannot do "${operation}": grant "${grantId}" is for machine "${machine}", not "${machineId}"`;
      throw new DenialError({ code: "MACHINE_NOT_GRANTED", rule: "grant.machine", message });
    }
    if (!operations.includes(operation)) {
      const message = `Cannot do "${operation}": grant "${grantId}" does not contain it`;
      throw new DenialError({ code: "OPERATION_NOT_GRANTED", rule: "grant.operations", message });
    }
    entry.touch(this.#clock.wall());
  }

  /** Revokes a grant and all made from it. Persisted and cut when it returns; revoking twice revokes nothing more. */
  revoke(id: string, reason: string, by: string): Ended {
    const why = reason === "" ? "no reason was given" : reason;
    return this.#endings.end([this.#find(id)], { status: "revoked", cause: "command", reason: why, by });
  }

  /** Revokes every grant of a machine. */
  endAllOfMachine(machineId: string, reason: string): Ended {
    const roots = this.#ledger.live().filter(({ grant }) => grant.machine === machineId);
    return this.#endings.end(parentsFirst(roots), {
      status: "revoked",
      cause: "machine-end",
      reason,
      by: null,
    });
  }

  /** Puts another policy in force and revokes what it does not allow. */
  rejudge(policy: GrantPolicy): Ended {
    this.#policy = policy;
    const judged = parentsFirst(this.#ledger.live());
    const refused = judged.flatMap((entry) => {
      const reason = refusalOf(policy, entry);
      const ending = { status: "revoked", cause: "policy", by: null } as const;
      return reason === undefined ? [] : [[entry, { ...ending, reason }] as const];
    });
    return this.#endings.endEach(refused);
  }

  /** Calls back, before it goes on, when a grant ends; the listener cuts its sessions and answers how many. */
  onEnded(listener: EndListener): Disposable {
    return this.#endings.onEnded(listener);
  }

  /** One grant, ended or not (GRANT_NOT_FOUND). */
  get(id: string): GrantView {
    this.#watch.look();
    return this.#view(this.#find(id));
  }

  /** Grants by age; only live ones, and only one grant and those made from it, where asked. */
  list({ includeEnded = false, ofSubtree }: GrantListing = {}): readonly GrantView[] {
    this.#watch.look();
    const all = ofSubtree === undefined ? this.#ledger.all() : this.#ledger.subtree(this.#find(ofSubtree));
    return all
      .filter((entry) => !entry.minting && (includeEnded || entry.live))
      .map((entry) => this.#view(entry))
      .sort((a, b) => a.grant.issuedAt.localeCompare(b.grant.issuedAt));
  }

  /** Whether a grant is another one or was made from it, at any depth. */
  isWithin(id: string, ancestorId: string): boolean {
    let entry = this.#ledger.find(id);
    while (entry !== undefined && entry.id !== ancestorId) entry = this.#ledger.parentOf(entry);
    return entry !== undefined;
  }

  /** Makes durable what was left for later, such as when grants were last used. */
  flush(): void {
    this.#flushedAt = this.#clock.monotonic();
    this.#ledger.flush();
    this.#prune();
  }

  /** Waits until every record under way is written or has failed. */
  async settled(): Promise<void> {
    await this.#endings.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]();
    await this.settled();
    this.#tryFlush();
  }

  #adopt(): void {
    this.#prune();
    const entries = this.#ledger.all();
    this.#endings.record(entries.filter(({ stored }) => stored.end?.recorded === false));
    const revoked = { status: "revoked", by: null } as const;
    const implicit = entries.filter((entry) => entry.live && entry.implicit);
    const lost = "its connection ended with the bridge";
    this.#endings.tryEnd(implicit, { ...revoked, cause: "connection-end", reason: lost });
    const orphans = entries.filter((entry) => entry.live && this.#isOrphan(entry));
    this.#endings.tryEnd(orphans, { ...revoked, cause: "parent", reason: "what it was made from has ended" });
    this.#watch.look();
    // The policy may have been changed while no bridge was there to notice.
    this.rejudge(this.#policy);
    this.flush();
  }

  #isOrphan(entry: GrantEntry): boolean {
    return entry.grant.parent !== null && this.#ledger.parentOf(entry)?.live !== true;
  }

  /** Ends what is due; answers when the next deadline is. */
  #sweep(): number | undefined {
    let next: number | undefined;
    const due: GrantEntry[] = [];
    for (const entry of this.#ledger.live()) {
      const left = remaining(this.#clock, entry.deadline);
      if (left <= 0) due.push(entry);
      else next = Math.min(left, next ?? left);
    }
    this.#endings.expire(due);
    if (this.#ledger.behind || this.#clock.monotonic() - this.#flushedAt >= FLUSH_MS) this.#tryFlush();
    return this.#ledger.behind ? Math.min(RETRY_MS, next ?? RETRY_MS) : next;
  }

  #prune(): void {
    const now = this.#clock.wall();
    const ended = this.#ledger.all().filter(({ implicit, live }) => implicit && !live);
    const beyond = new Set(ended.slice(0, Math.max(0, ended.length - IMPLICIT_KEPT)));
    this.#ledger.prune((entry) => {
      if (beyond.has(entry)) return Infinity;
      return now - (entry.implicit ? IMPLICIT_KEPT_MS : KEPT_MS);
    });
  }

  #tryFlush(): void {
    try {
      this.flush();
    } catch (error) {
      this.#options.log.error({ err: error }, "grants could not be stored; trying again");
    }
  }

  #explicit(id: string, doing: string): GrantEntry {
    const entry = this.#find(id);
    this.#endings.checkLive(entry);
    if (!entry.implicit) return entry;
    const message = `Cannot ${doing} grant "${id}": it lives as long as its connection`;
    throw new DoorwardError({ code: "INPUT_INVALID", message, hint: "doorward grant create" });
  }

  #find(id: string): GrantEntry {
    const entry = this.#ledger.find(id);
    if (entry !== undefined) return entry;
    const known = this.#ledger.all().filter(({ implicit, minting }) => !implicit && !minting);
    const near = didYouMean(
      id,
      known.map((each) => each.id),
    );
    const message = `Cannot find grant "${id}": no grant has this id${near}`;
    throw new DoorwardError({ code: "GRANT_NOT_FOUND", message, hint: "doorward grant ls --all" });
  }

  #view(entry: GrantEntry): GrantView {
    return grantView(entry, this.#options.machineName(entry.grant.machine), entry.snapshot(this.#clock));
  }
}

/** Which grants to list. */
export interface GrantListing {
  readonly includeEnded?: boolean | undefined;
  readonly ofSubtree?: string | undefined;
}

/** So that a child is ended because its parent was, and is recorded so. */
function parentsFirst(entries: readonly GrantEntry[]): readonly GrantEntry[] {
  return [...entries].sort((a, b) => a.stored.depth - b.stored.depth);
}
