import { createHmac } from "node:crypto";
import { dirname } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "pino";
import {
  DoorwardError,
  toDoorwardError,
  type EvidenceInput,
  type EvidenceType,
  type Reference,
} from "@doorward/contracts";
import { canonicalJson } from "./canonical.ts";
import { signCheckpoint } from "./checkpoint.ts";
import { GROUP_HEAD_BYTES } from "./journal-format.ts";
import type { Journal } from "./journal.ts";
import type { EvidenceKey } from "./key.ts";
import { listRecords, type EvidencePage, type EvidenceQuery } from "./list.ts";
import { notFound, oneSigner, stopping, unwritable } from "./log-errors.ts";
import { LogFiles } from "./log-files.ts";
import { recoverLog, type LogPlace, type RecoveredLog } from "./log-open.ts";
import type { LogTail } from "./log-tail.ts";
import { TILE_WIDTH } from "./merkle.ts";
import { Publisher } from "./publisher.ts";
import { ReferencedFiles, type KeepOptions } from "./referenced.ts";
import { indexOfRecordId, prepareRecord, readLeaf, sealRecord } from "./record.ts";
import type { EvidenceEntry, PreparedRecord, SealedRecord } from "./record.ts";
import { noteVerifier, vkeyLine } from "./signed-note.ts";
import { Witnessing, type WitnessState } from "./witnessing.ts";

/** How the log writes. */
const limits = {
  /** Most records made durable by one `fdatasync`. */
  groupRecords: 512,
  /** Groups of at most so many records are signed on this thread. */
  signedNow: 4,
  /** The public files follow the journal this much later. */
  publishDelayMs: 200,
  /** Default of {@link EvidenceLogOptions.journalBytes}. */
  journalBytes: 8 * 1024 * 1024,
  /** Appends wait for the publisher when this many finished tiles wait for it. */
  waitingTiles: 128,
} as const;

/** Records that end or refuse something: they may use the reserved space when ordinary ones are refused. */
const closingTypes: ReadonlySet<EvidenceType> = new Set<EvidenceType>([
  "machine-end",
  "session-close",
  "grant-revoked",
  "grant-expired",
  "bridge-stop",
]);

/** Where a record went. */
export interface Appended {
  readonly index: number;
  readonly recordId: string;
  /** RFC 6962 hash of the leaf, hex. */
  readonly leafHash: string;
}

/** What {@link EvidenceLog.open} needs. */
export interface EvidenceLogOptions extends LogPlace {
  readonly log: Logger;
  /** The journal is cut to the unfinished bundle when it has grown by this many bytes. */
  readonly journalBytes?: number | undefined;
}

interface Waiting {
  readonly record: PreparedRecord;
  readonly nextKey: EvidenceKey | null;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: DoorwardError) => void;
}

/** The bridge's evidence: an append-only, signed transparency log in one folder. One process may have it open. */
export class EvidenceLog implements AsyncDisposable {
  readonly dir: string;
  readonly origin: string;
  readonly #log: Logger;
  readonly #journal: Journal;
  readonly #tail: LogTail;
  readonly #files: LogFiles;
  readonly #publisher: Publisher;
  readonly #witnessing: Witnessing;
  readonly #referenced: ReferencedFiles;
  #key: EvidenceKey;
  #lastAt: number;
  #queue: Waiting[] = [];
  #draining: Promise<void> | null = null;
  #publishing: Promise<string> = Promise.resolve("");
  #timer: NodeJS.Timeout | null = null;
  readonly #journalBytes: number;
  #settleAt: number;
  #closing: Promise<void> | null = null;

  private constructor(options: EvidenceLogOptions, { journal, tail, lastAt }: RecoveredLog) {
    const { dir, key, origin, log, journalBytes = limits.journalBytes } = options;
    this.dir = dir;
    this.origin = origin;
    this.#journalBytes = journalBytes;
    this.#settleAt = journalBytes;
    this.#key = key;
    this.#log = log;
    this.#journal = journal;
    this.#tail = tail;
    this.#lastAt = lastAt;
    this.#files = new LogFiles(dir);
    this.#publisher = new Publisher(dir);
    this.#witnessing = new Witnessing(dir, log);
    this.#referenced = new ReferencedFiles(dirname(dir));
  }

  /** Opens the log in a folder (or begins one), wipes a torn group, and brings tiles and checkpoint up to date. */
  static async open(options: EvidenceLogOptions): Promise<EvidenceLog> {
    const recovered = await recoverLog(options);
    const evidence = new EvidenceLog(options, recovered);
    if (recovered.torn > 0)
      options.log.warn(
        { bytes: recovered.torn },
        "evidence: wiped a group that was being written when the bridge died",
      );
    // a full disk must not keep the bridge from starting: it can still stop machines and revoke grants
    await evidence.checkpoint().catch((error: unknown) => {
      options.log.error({ err: error }, "evidence: tiles and checkpoint can't be written");
    });
    return evidence;
  }

  /** How the witnesses that cosign this log's checkpoints stand. */
  get witnesses(): readonly WitnessState[] {
    return this.#witnessing.states;
  }

  /** Publishes everything durable and waits until every witness was asked to cosign it. */
  async witness(): Promise<readonly WitnessState[]> {
    this.#witnessing.published(await this.checkpoint());
    await this.#witnessing.settle();
    return this.witnesses;
  }

  /** Number of durable records. */
  get size(): number {
    return this.#tail.size;
  }

  /** The verifier key line (C2SP signed-note) that belongs to the newest checkpoint. */
  get vkey(): string {
    return vkeyLine(noteVerifier(this.origin, this.#key));
  }

  /** Appends a record; resolves when it is durable. Rejects with INPUT_INVALID, INPUT_TOO_LARGE or EVIDENCE_UNWRITABLE. */
  append(input: EvidenceInput): Promise<Appended> {
    if (input.type === "key-rotation") return Promise.reject(oneSigner());
    return this.#enqueue(input, null);
  }

  /** Exchanges the signing key, with a record that both keys sign; every later record is signed by the next key alone. */
  rotate(
    nextKey: EvidenceKey,
    context: Pick<EvidenceInput, "subject" | "correlationId" | "policyHash">,
    reason: string | null,
  ): Promise<Appended> {
    const previousKey = { keyId: this.#key.keyId, publicKey: this.#key.raw.toString("base64") };
    const next = { keyId: nextKey.keyId, publicKey: nextKey.raw.toString("base64") };
    const { subject, correlationId, policyHash } = context;
    const fields = {
      subject,
      correlationId,
      policyHash,
      machine: null,
      grant: null,
      previousKey,
      nextKey: next,
      reason,
    };
    return this.#enqueue({ type: "key-rotation", ...fields }, nextKey);
  }

  /** Digest of an argument list that only this bridge can compare; guessing a short secret from it needs the key. */
  argvDigest(argv: readonly string[]): string {
    return `sha256:${createHmac("sha256", this.#key.digestKey).update(JSON.stringify(argv)).digest("hex")}`;
  }

  /** Keyed digest of bytes, or of the canonical JSON of a value, for records of things that may be secret or easy to guess. */
  keyedDigest(value: unknown): string {
    const bytes = value instanceof Uint8Array ? value : canonicalJson(value);
    return `sha256:${createHmac("sha256", this.#key.digestKey).update(bytes).digest("hex")}`;
  }

  /** Keeps something that is too big for a record, durably, and returns how a record names it. */
  keep(content: Uint8Array | AsyncIterable<Uint8Array>, options?: KeepOptions): Promise<Reference> {
    return this.#referenced.keep(content, options);
  }

  /** Publishes everything durable and returns the signed checkpoint over it. */
  checkpoint(): Promise<string> {
    this.#publishing = this.#publishing.catch(() => undefined).then(() => this.#publish());
    return this.#publishing;
  }

  /** A record by its index or id; EVIDENCE_NOT_FOUND when there is none. */
  async read(which: number | string): Promise<EvidenceEntry> {
    const index = typeof which === "number" ? which : indexOfRecordId(which);
    if (index === null || !Number.isSafeInteger(index) || index < 0 || index >= this.size)
      throw notFound(which);
    const leaf = (await this.#bundle(Math.floor(index / TILE_WIDTH)))[index % TILE_WIDTH];
    if (leaf === undefined) throw notFound(which);
    const entry = readLeaf(leaf, index);
    if (typeof which === "string" && entry.recordId !== which) throw notFound(which);
    return entry;
  }

  /** Records, newest first. */
  list(query: EvidenceQuery): Promise<EvidencePage> {
    const mayHold = (n: number, words: readonly string[]) => this.#tail.index.mayHold(n, words);
    return listRecords({ size: this.size, mayHold, bundle: (n) => this.#bundle(n) }, query);
  }

  /** Waits for what was appended, publishes, and closes the journal. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    await this.#draining;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.checkpoint().catch((error: unknown) => {
      this.#log.warn({ err: error }, "evidence: the last checkpoint can't be written");
    });
    await this.#witnessing[Symbol.asyncDispose]();
    await this.#journal[Symbol.asyncDispose]();
  }

  #enqueue(input: EvidenceInput, nextKey: EvidenceKey | null): Promise<Appended> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== null) throw stopping();
      this.#lastAt = Math.max(Date.now(), this.#lastAt);
      const record = prepareRecord(input, new Date(this.#lastAt).toISOString());
      this.#queue.push({ record, nextKey, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // What is appended in the same turn of the loop, such as a grant and the session that it is for, becomes one group.
    await turn();
    while (this.#queue.length > 0) {
      const change = this.#queue.findIndex(({ nextKey }) => nextKey !== null);
      const end = change < 0 ? limits.groupRecords : Math.min(change + 1, limits.groupRecords);
      await this.#commit(this.#queue.splice(0, end));
      await this.#keepUp();
    }
    this.#draining = null;
  }

  /** Makes a group durable. One that finds no space is halved, so that everything that fits is kept. */
  async #commit(group: readonly Waiting[], mayExtend = true): Promise<void> {
    const first = this.size;
    try {
      const where = group.length <= limits.signedNow ? "now" : "beside";
      const sealed = await Promise.all(group.map((waiting, at) => this.#seal(waiting, first + at, where)));
      const useReserve = group.every(({ record }) => closingTypes.has(record.type));
      if (await this.#journal.hasRoom(bytesOf(sealed), useReserve, mayExtend)) {
        await this.#journal.write(
          first,
          sealed.map(({ leaf }) => leaf),
        );
        this.#accept(group, sealed);
        return;
      }
      if (group.length === 1)
        throw new DoorwardError({ code: "EVIDENCE_UNWRITABLE", message: "the disk is full" });
    } catch (error) {
      for (const { reject } of group) reject(unwritable(toDoorwardError(error)));
      return;
    }
    const middle = Math.ceil(group.length / 2);
    await this.#commit(group.slice(0, middle), false);
    await this.#commit(group.slice(middle), false);
  }

  #seal({ record, nextKey }: Waiting, index: number, where: "now" | "beside"): Promise<SealedRecord> {
    return sealRecord(record, index, nextKey === null ? [this.#key] : [this.#key, nextKey], where);
  }

  #accept(group: readonly Waiting[], sealed: readonly SealedRecord[]): void {
    for (const [at, { leaf, leafHash, keys, recordId }] of sealed.entries()) {
      const index = this.size;
      this.#tail.add(leaf, leafHash, keys);
      const waiting = group[at];
      if (waiting?.nextKey != null) this.#key = waiting.nextKey;
      waiting?.resolve({ index, recordId, leafHash: leafHash.toString("hex") });
    }
    this.#publishSoon();
  }

  #publishSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.checkpoint().catch((error: unknown) => {
        this.#log.warn(
          { err: error },
          "evidence: tiles and checkpoint can't be written; the journal has everything",
        );
      });
    }, limits.publishDelayMs).unref();
  }

  async #publish(): Promise<string> {
    // one moment of the log, taken before the first wait
    const { finished } = this.#tail;
    const key = this.#key;
    const frontier = this.#tail.frontier();
    const root = this.#tail.root();
    await this.#publisher.finish(finished);
    await this.#tail.index.save(false);
    this.#tail.written(finished);
    const checkpoint = await signCheckpoint({ origin: this.origin, size: frontier.size, root }, key);
    await this.#publisher.publish({
      ...frontier,
      checkpoint,
      vkey: vkeyLine(noteVerifier(this.origin, key)),
    });
    this.#witnessing.published(checkpoint);
    return checkpoint;
  }

  async #keepUp(): Promise<void> {
    try {
      if (this.#journal.usedBytes > this.#settleAt) await this.#settle();
      else if (this.#tail.finished.length > limits.waitingTiles) await this.checkpoint();
    } catch (error) {
      this.#settleAt = this.#journal.usedBytes + this.#journalBytes;
      this.#log.warn({ err: error }, "evidence: the journal can't be cut; it goes on growing");
    }
  }

  /** Makes the public files durable, then drops from the journal what they hold. */
  async #settle(): Promise<void> {
    await this.checkpoint();
    await this.#publisher.settle();
    await this.#tail.index.save(true);
    const base = this.size - (this.size % TILE_WIDTH);
    await this.#journal.restart(
      { origin: this.origin, base, edge: this.#tail.edgeAtBundle() },
      this.#tail.openEntries,
    );
    this.#settleAt = this.#journal.usedBytes + this.#journalBytes;
  }

  async #bundle(n: number): Promise<readonly Buffer[]> {
    const width = Math.min(TILE_WIDTH, this.size - n * TILE_WIDTH);
    return this.#tail.bundle(n) ?? this.#files.entries(n, width);
  }
}

function bytesOf(sealed: readonly SealedRecord[]): number {
  return sealed.reduce((sum, { leaf }) => sum + leaf.length + 2, GROUP_HEAD_BYTES);
}
