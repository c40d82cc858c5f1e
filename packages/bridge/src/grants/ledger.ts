import { randomUUID } from "node:crypto";
import type { Documents } from "../store/documents.ts";
import type { Store } from "../store/store.ts";
import type { Clock, Deadline } from "./clock.ts";
import { GrantEntry } from "./entry.ts";
import { StoredEnds, StoredGrant } from "./stored-grant.ts";

const ADOPTED = { minting: false, kept: true } as const;

/** Every grant of this installation: in memory for checks, and in the store for good but for those of connections. */
export class GrantLedger {
  readonly #documents: Documents<StoredGrant>;
  readonly #ends: Documents<StoredEnds>;
  readonly #clock: Clock;
  readonly #entries = new Map<string, GrantEntry>();
  readonly #live = new Map<string, GrantEntry>();
  readonly #children = new Map<string, GrantEntry[]>();
  /** Documents of `ends` that are there until every grant has its end in its own. */
  #batches: readonly string[] = [];
  #behind = false;

  constructor(store: Store, clock: Clock) {
    this.#documents = store.documents("grants", StoredGrant);
    this.#ends = store.documents("grant-ends", StoredEnds);
    this.#clock = clock;
    const batches = this.#ends.list();
    this.#batches = batches.map(({ id }) => id);
    const ends = new Map(batches.flatMap((batch) => batch.ends.map(({ grantId, end }) => [grantId, end])));
    for (const stored of this.#documents.list()) {
      const end = stored.end ?? ends.get(stored.grant.grantId) ?? null;
      const entry = adopted({ ...stored, end }, clock);
      entry.dirty ||= stored.end === null && end !== null;
      this.add(entry);
    }
  }

  find(id: string): GrantEntry | undefined {
    return this.#entries.get(id);
  }

  all(): readonly GrantEntry[] {
    return [...this.#entries.values()];
  }

  live(): readonly GrantEntry[] {
    return [...this.#live.values()];
  }

  /** A grant and everything made from it, parents before children. */
  subtree(root: GrantEntry): readonly GrantEntry[] {
    const found = [root];
    for (const entry of found) found.push(...(this.#children.get(entry.id) ?? []));
    return found;
  }

  /** The topmost grant that this one comes from. */
  rootOf(entry: GrantEntry): GrantEntry {
    let root = entry;
    for (let parent = this.parentOf(root); parent !== undefined; parent = this.parentOf(root)) root = parent;
    return root;
  }

  parentOf(entry: GrantEntry): GrantEntry | undefined {
    return entry.grant.parent === null ? undefined : this.#entries.get(entry.grant.parent);
  }

  add(entry: GrantEntry): void {
    this.#entries.set(entry.id, entry);
    if (entry.live) this.#live.set(entry.id, entry);
    const { parent } = entry.grant;
    if (parent === null) return;
    const siblings = this.#children.get(parent);
    if (siblings === undefined) this.#children.set(parent, [entry]);
    else siblings.push(entry);
  }

  /** Forgets a grant that never came to be, or ended long ago. */
  drop(entry: GrantEntry): void {
    this.#entries.delete(entry.id);
    this.#live.delete(entry.id);
    this.#children.delete(entry.id);
    const { parent } = entry.grant;
    const siblings = parent === null ? undefined : this.#children.get(parent);
    siblings?.splice(siblings.indexOf(entry), 1);
    if (isStored(entry)) this.#documents.delete(entry.id);
  }

  /** Takes ended grants off the list that deadlines are watched on. */
  retire(entries: readonly GrantEntry[]): void {
    for (const entry of entries) this.#live.delete(entry.id);
  }

  /** Whether the store refused something that it still has to take. */
  get behind(): boolean {
    return this.#behind;
  }

  /** Makes grants durable as one unit. */
  save(entries: readonly GrantEntry[]): void {
    const stored = entries.filter(isStored);
    if (stored.length === 0) return;
    this.#write(stored, () => this.#put(stored));
    for (const entry of stored) entry.dirty = false;
  }

  /** Makes the ends of grants durable, quickly; each gets into its grant's own document later. */
  saveEnds(entries: readonly GrantEntry[]): void {
    for (const entry of entries) entry.dirty = true;
    const ended = entries.filter(isStored);
    const ends = ended.flatMap(({ id, stored }) =>
      stored.end === null ? [] : [{ grantId: id, end: stored.end }],
    );
    if (ends.length === 0) return;
    const id = randomUUID();
    this.#write(ended, () => this.#ends.put(id, { id, ends }));
    this.#batches = [...this.#batches, id];
  }

  /** Makes everything durable that was left for later. */
  flush(): void {
    const stored = this.all().filter((entry) => entry.dirty && isStored(entry));
    if (stored.length === 0 && this.#batches.length === 0) return;
    this.#write(stored, () => {
      this.#put(stored);
      for (const id of this.#batches) this.#ends.delete(id);
    });
    for (const entry of stored) entry.dirty = false;
    this.#batches = [];
    this.#behind = false;
  }

  /** Drops what ended before the time of day that holds for it, and was recorded; what the store does not keep is not recorded from here later. */
  prune(before: (entry: GrantEntry) => number): void {
    const old = this.all().filter((entry) => {
      const { end } = entry.stored;
      return end !== null && (end.recorded || !entry.kept) && Date.parse(end.at) < before(entry);
    });
    if (old.length === 0) return;
    this.#documents.transaction(() => {
      for (const entry of old) this.drop(entry);
    });
  }

  #put(entries: readonly GrantEntry[]): void {
    for (const entry of entries) this.#documents.put(entry.id, entry.snapshot(this.#clock));
  }

  #write(entries: readonly GrantEntry[], write: () => void): void {
    for (const entry of entries) entry.dirty = true;
    try {
      this.#documents.transaction(write);
    } catch (error) {
      this.#behind = true;
      throw error;
    }
  }
}

function isStored({ kept, minting }: GrantEntry): boolean {
  return kept && !minting;
}

/** In the same boot the monotonic deadline still holds; in a later one only what was left of the time may go on. */
function adopted(stored: StoredGrant, clock: Clock): GrantEntry {
  const { time, grant } = stored;
  const wall = Date.parse(grant.expiresAt);
  const now = clock.monotonic();
  if (time.epoch === clock.epoch && time.startedAt <= now) {
    return new GrantEntry(stored, { wall, monotonic: time.startedAt + time.lifetimeMs }, ADOPTED);
  }
  const lifetimeMs = Math.max(0, time.lifetimeMs - time.spentMs);
  const anchored = { ...time, epoch: clock.epoch, startedAt: now, lifetimeMs, spentMs: 0 };
  const deadline: Deadline = { wall, monotonic: now + lifetimeMs };
  const entry = new GrantEntry({ ...stored, time: anchored }, deadline, ADOPTED);
  entry.dirty = stored.end === null;
  return entry;
}
