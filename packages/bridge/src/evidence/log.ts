import { createHmac } from "node:crypto";
import { dirname } from "node:path";
import type { Logger } from "pino";
import type { EvidenceInput, Reference } from "@doorward/contracts";
import { canonicalJson } from "./canonical.ts";
import type { Journal } from "./journal.ts";
import type { EvidenceKey } from "./key.ts";
import { listRecords, type EvidencePage, type EvidenceQuery } from "./list.ts";
import { notFound, oneSigner } from "./log-errors.ts";
import { LogFiles } from "./log-files.ts";
import { recoverLog, type LogPlace, type RecoveredLog } from "./log-open.ts";
import { LogPublishing } from "./log-publishing.ts";
import type { LogTail } from "./log-tail.ts";
import { LogWriter, type Appended, type Placed } from "./log-writer.ts";
import { TILE_WIDTH } from "./merkle.ts";
import { indexOfRecordId, readLeaf, type EvidenceEntry } from "./record.ts";
import { ReferencedFiles, type KeepOptions } from "./referenced.ts";
import { noteVerifier, vkeyLine } from "./signed-note.ts";
import { Witnessing, type WitnessState } from "./witnessing.ts";

/** What {@link EvidenceLog.open} needs. */
export interface EvidenceLogOptions extends LogPlace {
  readonly log: Logger;
  /** The journal is cut to the unfinished bundle when it has grown by this many bytes. */
  readonly journalBytes?: number | undefined;
  /** Told, before they are written, under which ids records that were appended with a note are. */
  readonly placing?: ((placed: readonly Placed[]) => void) | undefined;
}

/** The bridge's evidence: an append-only, signed transparency log in one folder. One process may have it open. */
export class EvidenceLog implements AsyncDisposable {
  readonly dir: string;
  readonly origin: string;
  readonly #journal: Journal;
  readonly #tail: LogTail;
  readonly #files: LogFiles;
  readonly #witnessing: Witnessing;
  readonly #referenced: ReferencedFiles;
  readonly #publishing: LogPublishing;
  readonly #writer: LogWriter;
  #closing: Promise<void> | null = null;

  private constructor(options: EvidenceLogOptions, { journal, tail, lastAt }: RecoveredLog) {
    const { dir, key, origin, log, journalBytes, placing = () => undefined } = options;
    this.dir = dir;
    this.origin = origin;
    this.#journal = journal;
    this.#tail = tail;
    this.#files = new LogFiles(dir);
    this.#witnessing = new Witnessing(dir, log);
    this.#referenced = new ReferencedFiles(dirname(dir));
    const parts = { dir, origin, journal, tail, witnessing: this.#witnessing, log, journalBytes };
    const publishing = new LogPublishing({ ...parts, key: () => this.#writer.key });
    this.#publishing = publishing;
    const written = (): void => publishing.soon();
    const afterGroup = (): Promise<void> => publishing.keepUp();
    this.#writer = new LogWriter({ journal, tail, lastAt, key, placing, written, afterGroup });
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
    return vkeyLine(noteVerifier(this.origin, this.#writer.key));
  }

  /** Id of the key that signs the next record, and that keyed digests are made with. */
  get keyId(): string {
    return this.#writer.key.keyId;
  }

  /**
   * Appends a record; resolves when it is durable. Rejects with INPUT_INVALID, INPUT_TOO_LARGE or EVIDENCE_UNWRITABLE.
   * One with a note has its place told before it is written.
   */
  append(input: EvidenceInput, note: number | null = null): Promise<Appended> {
    if (input.type === "key-rotation") return Promise.reject(oneSigner());
    return this.#writer.append(input, null, note);
  }

  /** Exchanges the signing key, with a record that both keys sign; every later record is signed by the next key alone. */
  rotate(
    nextKey: EvidenceKey,
    context: Pick<EvidenceInput, "subject" | "correlationId" | "policyHash">,
    reason: string | null,
  ): Promise<Appended> {
    const previousKey = { keyId: this.#writer.key.keyId, publicKey: this.#writer.key.raw.toString("base64") };
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
    return this.#writer.append({ type: "key-rotation", ...fields }, nextKey);
  }

  /** Digest of an argument list that only this bridge can compare; guessing a short secret from it needs the key. */
  argvDigest(argv: readonly string[]): string {
    return `sha256:${createHmac("sha256", this.#writer.key.digestKey).update(JSON.stringify(argv)).digest("hex")}`;
  }

  /** Keyed digest of bytes, or of the canonical JSON of a value, for records of things that may be secret or easy to guess. */
  keyedDigest(value: unknown): string {
    const bytes = value instanceof Uint8Array ? value : canonicalJson(value);
    return `sha256:${createHmac("sha256", this.#writer.key.digestKey).update(bytes).digest("hex")}`;
  }

  /** Keeps something that is too big for a record, durably, and returns how a record names it. */
  keep(content: Uint8Array | AsyncIterable<Uint8Array>, options?: KeepOptions): Promise<Reference> {
    return this.#referenced.keep(content, options);
  }

  /** Publishes everything durable and returns the signed checkpoint over it. */
  checkpoint(): Promise<string> {
    return this.#publishing.checkpoint();
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
    await this.#writer.close();
    await this.#publishing.close();
    await this.#witnessing[Symbol.asyncDispose]();
    await this.#journal[Symbol.asyncDispose]();
  }

  async #bundle(n: number): Promise<readonly Buffer[]> {
    const width = Math.min(TILE_WIDTH, this.size - n * TILE_WIDTH);
    return this.#tail.bundle(n) ?? this.#files.entries(n, width);
  }
}
