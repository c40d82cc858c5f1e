import { setImmediate as turn } from "node:timers/promises";
import { toDoorwardError, type DoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import { remaining, type Clock } from "./clock.ts";
import { endedError, type GrantEntry } from "./entry.ts";
import type { GrantLedger } from "./ledger.ts";
import type { EndListener, GrantEvidence, RevocationCause } from "./ports.ts";
import type { GrantEnd } from "./stored-grant.ts";

/** How a grant ends; what is made from it ends with it. */
export interface Ending {
  readonly status: "expired" | "revoked";
  readonly cause: "time" | RevocationCause;
  readonly reason: string;
  readonly by: string | null;
  /** What its sessions are closed with, where the end is no decision of anybody but a failure. */
  readonly error?: DoorwardError;
}

/** What ended, and how many sessions were cut by that. */
export interface Ended {
  readonly revoked: readonly string[];
  readonly closedSockets: number;
}

/** Ends grants: persisted first, then their sessions are cut, then the records are written. */
export class GrantEndings {
  readonly #ledger: GrantLedger;
  readonly #evidence: GrantEvidence;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #listeners = new Set<EndListener>();
  readonly #recording = new Set<Promise<void>>();

  constructor(ledger: GrantLedger, evidence: GrantEvidence, clock: Clock, log: Logger) {
    this.#ledger = ledger;
    this.#evidence = evidence;
    this.#clock = clock;
    this.#log = log;
  }

  onEnded(listener: EndListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /**
   * Ends grants and everything made from them. Synchronous: when it returns or throws, nothing of theirs is open. A
   * store that can't be written never keeps a session open; it throws afterwards, and is tried again later.
   */
  end(roots: readonly GrantEntry[], ending: Ending): Ended {
    return this.endEach(roots.map((root) => [root, ending]));
  }

  /** Ends grants like `end`, each in its own way. */
  endEach(roots: readonly (readonly [GrantEntry, Ending])[]): Ended {
    const doomed = this.#doom(roots);
    const errors = new Map(roots.map(([{ id }, { error }]) => [id, error]));
    const failure = this.#persist(() => this.#ledger.saveEnds(doomed));
    let closedSockets = 0;
    for (const entry of doomed) closedSockets += this.#cut(entry, errors.get(entry.id));
    this.record(doomed.filter((entry) => !entry.minting));
    if (failure !== undefined) throw failure;
    return { revoked: doomed.map(({ id }) => id), closedSockets };
  }

  /** Ends grants where nobody could be told of a store that can't be written; that is logged, and tried again later. */
  tryEnd(roots: readonly GrantEntry[], ending: Ending): void {
    try {
      this.end(roots, ending);
    } catch {
      // Logged where it was caught first; the entries stay marked for the next flush.
    }
  }

  /** Throws unless a grant lives by both clocks; one whose time is over ends here, whether or not a timer has run. */
  checkLive(entry: GrantEntry): void {
    if (entry.live && remaining(this.#clock, entry.deadline) <= 0) this.expire([entry]);
    const { end } = entry.stored;
    if (end !== null) throw endedError(entry.id, end);
  }

  /** Ends grants whose time is over. */
  expire(due: readonly GrantEntry[]): void {
    if (due.length > 0)
      this.tryEnd(due, { status: "expired", cause: "time", reason: "its time is over", by: null });
  }

  /** Keeps `settled` waiting for a record that nobody else waits for. It must not reject. */
  background(record: Promise<void>): void {
    const work = record.finally(() => this.#recording.delete(work));
    this.#recording.add(work);
  }

  /** Appends the records of ended grants in the background; what fails is tried again at the next start. */
  record(ended: readonly GrantEntry[]): void {
    if (ended.length > 0) this.background(this.#recordAll(ended));
  }

  /** Waits for the records that are under way. */
  async settled(): Promise<void> {
    while (this.#recording.size > 0) await Promise.all(this.#recording);
  }

  #doom(roots: readonly (readonly [GrantEntry, Ending])[]): readonly GrantEntry[] {
    const now = this.#clock.wall();
    const doomed: GrantEntry[] = [];
    for (const [root, ending] of roots) {
      for (const entry of this.#ledger.subtree(root)) {
        if (!entry.live) continue;
        entry.stored = { ...entry.stored, end: endOf(entry, root, ending, now) };
        doomed.push(entry);
      }
    }
    this.#ledger.retire(doomed);
    return doomed;
  }

  #persist(save: () => void): DoorwardError | undefined {
    try {
      save();
      return undefined;
    } catch (error) {
      this.#log.error({ err: error }, "ended grants could not be stored; trying again");
      return toDoorwardError(error);
    }
  }

  #cut(entry: GrantEntry, error: DoorwardError | undefined): number {
    const { end } = entry.stored;
    if (end === null) return 0;
    const { status, reason } = end;
    const ended = { id: entry.id, machine: entry.grant.machine, status, reason, error };
    let cut = 0;
    for (const listener of this.#listeners) {
      try {
        cut += listener(ended);
      } catch (error) {
        this.#log.error({ err: error, grant: entry.id }, "cutting a session failed");
      }
    }
    entry.stored = { ...entry.stored, end: { ...end, sessionsCut: cut } };
    entry.abort();
    return cut;
  }

  async #recordAll(entries: readonly GrantEntry[]): Promise<void> {
    // What was cut goes out on the sockets before any of this.
    await turn();
    const written = await Promise.all(entries.map((entry) => this.#recordOne(entry)));
    for (const [index, entry] of entries.entries()) {
      const { end } = entry.stored;
      if (end !== null && written[index] === true)
        entry.stored = { ...entry.stored, end: { ...end, recorded: true } };
    }
    this.#persist(() => this.#ledger.save(entries));
  }

  async #recordOne(entry: GrantEntry): Promise<boolean> {
    const { grant, machine, end } = entry.stored;
    if (end === null) return false;
    const { by, reason, sessionsCut } = end;
    const event = { grant, machine: { id: grant.machine, name: machine.name }, by, sessionsCut };
    try {
      if (end.cause === "time") await this.#evidence.expired(event);
      else await this.#evidence.revoked({ ...event, reason, cause: end.cause });
      return true;
    } catch (error) {
      this.#log.error({ err: error, grant: grant.grantId }, "the end of a grant could not be recorded");
      return false;
    }
  }
}

function endOf(
  entry: GrantEntry,
  root: GrantEntry,
  { status, cause, reason, by }: Ending,
  now: number,
): GrantEnd {
  const at = status === "expired" ? Math.min(now, Date.parse(entry.grant.expiresAt)) : now;
  const common = { status, at: new Date(at).toISOString(), by, sessionsCut: 0, recorded: false };
  if (entry === root || status === "expired") return { ...common, cause, reason: reason.slice(0, 300) };
  return { ...common, cause: "parent", reason: `"${root.id}" was revoked: ${reason}`.slice(0, 300) };
}
