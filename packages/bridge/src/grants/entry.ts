import { DoorwardError, type ServedGrant } from "@doorward/contracts";
import { remaining, type Clock, type Deadline } from "./clock.ts";
import type { GrantEnd, StoredGrant } from "./stored-grant.ts";

/** A grant that was good when it was handed out; `check` tells whether it still is. */
export interface LiveGrant {
  readonly id: string;
  /** The document as it is now; renewing moves its end. */
  readonly grant: ServedGrant;
  readonly implicit: boolean;
  /** Aborts with a DoorwardError (GRANT_EXPIRED, GRANT_REVOKED) when the grant ends. */
  readonly signal: AbortSignal;
}

/** One grant in memory. Only the ledger and what it hands entries to may change one. */
export class GrantEntry implements LiveGrant {
  stored: StoredGrant;
  deadline: Deadline;
  /** Its first record is still being written, so that nobody has its token yet and the store does not know it. */
  minting: boolean;
  /** Whether the store keeps it. What dies with the process, as the grant of a connection does, is not kept. */
  readonly kept: boolean;
  /** Memory is ahead of the store. */
  dirty = false;
  #lastUsed: number | undefined;
  #controller: AbortController | undefined;

  constructor(
    stored: StoredGrant,
    deadline: Deadline,
    { minting, kept }: { minting: boolean; kept: boolean },
  ) {
    this.stored = stored;
    this.deadline = deadline;
    this.minting = minting;
    this.kept = kept;
  }

  get id(): string {
    return this.stored.grant.grantId;
  }

  get grant(): ServedGrant {
    return this.stored.grant;
  }

  get implicit(): boolean {
    return this.stored.implicit;
  }

  get live(): boolean {
    return this.stored.end === null;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    this.abort();
    return this.#controller.signal;
  }

  /** Tells whoever holds the signal that the grant has ended, if it has. */
  abort(): void {
    const { end } = this.stored;
    if (end !== null && this.#controller?.signal.aborted === false)
      this.#controller.abort(endedError(this.id, end));
  }

  touch(at: number): void {
    this.#lastUsed = at;
    this.dirty = true;
  }

  /** What the store should hold now. */
  snapshot(clock: Clock): StoredGrant {
    const { time } = this.stored;
    const lastUsedAt =
      this.#lastUsed === undefined ? this.stored.lastUsedAt : new Date(this.#lastUsed).toISOString();
    const left = Math.max(0, remaining(clock, this.deadline));
    const spentMs = this.live ? Math.max(time.spentMs, time.lifetimeMs - left) : time.spentMs;
    this.stored = { ...this.stored, lastUsedAt, time: { ...time, spentMs } };
    return this.stored;
  }
}

/** The error that every use of an ended grant gets. */
export function endedError(id: string, end: Pick<GrantEnd, "status" | "at" | "reason">): DoorwardError {
  const expired = end.status === "expired";
  const what = expired ? `it expired at ${end.at}` : `it was revoked at ${end.at}: ${end.reason}`;
  return new DoorwardError({
    code: expired ? "GRANT_EXPIRED" : "GRANT_REVOKED",
    message: `Cannot use grant "${id}": ${what}`,
    hint: "doorward grant create",
    details: { grant: id, at: end.at },
  });
}
