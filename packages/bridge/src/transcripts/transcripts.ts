import { createReadStream } from "node:fs";
import { mkdir, open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  DoorwardError,
  TranscriptView,
  durationSeconds,
  type EvidenceInput,
  type Reference,
  type TerminalDoorSpec,
} from "@doorward/contracts";
import type { TranscriptFile, TranscriptStart } from "@doorward/doors";
import type { Logger } from "pino";
import { didYouMean } from "../did-you-mean.ts";
import type { EvidenceLog } from "../evidence/index.ts";
import type { SessionOpened } from "../gateway/index.ts";
import { isOver, type InFlight } from "../in-flight/index.ts";
import type { Documents, Store } from "../store/index.ts";
import { StoredTranscript } from "./stored-transcript.ts";
import { TranscriptPart, markerLine } from "./transcript-part.ts";

const MEDIA_TYPE = "application/x-asciicast";
const SWEEP_MS = 600_000;
const DOOR_MS = 10_000;
const MAX_BYTES = 2 * 1024 ** 3;
/** More than the longest line has. */
const TAIL_BYTES = 4 * 1024 * 1024;

/** What transcripts need of the bridge. */
export interface TranscriptsOptions {
  /** The evidence folder: transcripts that are complete lie with the other files that records name. */
  readonly dir: string;
  readonly store: Store;
  readonly evidence: Pick<EvidenceLog, "append" | "keep" | "read">;
  /** Sessions that the bridge before did not end. */
  readonly inFlight: InFlight;
  readonly policyHash: () => string;
  readonly log: Logger;
}

/** The transcripts of terminal sessions: written while a session goes on, kept by digest at its end, deleted in time. */
export class Transcripts implements AsyncDisposable {
  readonly #options: TranscriptsOptions;
  readonly #parts: string;
  readonly #documents: Documents<StoredTranscript>;
  readonly #open = new Map<string, Promise<TranscriptPart>>();
  readonly #sweep: NodeJS.Timeout;

  /** Opens the folder, ends what a bridge left that was killed, and deletes what is too old. */
  static async open(options: TranscriptsOptions): Promise<Transcripts> {
    const transcripts = new Transcripts(options);
    await mkdir(transcripts.#parts, { recursive: true, mode: 0o700 });
    await transcripts.#recover();
    await transcripts.sweep();
    return transcripts;
  }

  private constructor(options: TranscriptsOptions) {
    this.#options = options;
    this.#parts = join(options.dir, "transcripts");
    this.#documents = options.store.documents("transcripts", StoredTranscript);
    this.#sweep = setInterval(() => void this.sweep(), SWEEP_MS).unref();
  }

  /** Begins the transcript of a session. */
  begin(
    opened: SessionOpened,
    { retention }: TerminalDoorSpec["transcript"],
    { terminal }: TranscriptStart,
  ): Promise<TranscriptFile> {
    const { session, correlationId, subject, grant, machine, door } = opened;
    const part = TranscriptPart.open(this.#part(session), this.#options.log).then((file) => {
      this.#documents.put(session, {
        ...{ session, correlationId, subject, grant, machine: { ...machine }, door, terminal },
        execution: subject.startsWith("operator:") ? "operator" : "agent",
        startedAt: new Date().toISOString(),
        endedAt: null,
        deleteAt: null,
        retentionSeconds: durationSeconds(retention),
        reference: null,
        recorded: false,
      });
      return file;
    });
    this.#open.set(session, part);
    return part;
  }

  /** Keeps the transcript of a session that has ended; null when there is none. Never rejects. */
  async finish(session: string): Promise<Reference | null> {
    const opening = this.#open.get(session);
    if (opening === undefined) return null;
    try {
      const part = await opening;
      await Promise.race([part.ended, delay(DOOR_MS, undefined, { ref: false })]);
      await part[Symbol.asyncDispose]();
      return await this.#keep(session);
    } catch (error) {
      this.#options.log.error({ err: error, session }, "transcript could not be kept");
      return null;
    } finally {
      this.#open.delete(session);
    }
  }

  /** Notes that the record of a session's end is on disk. */
  recorded(session: string): void {
    const stored = this.#documents.get(session);
    if (stored === undefined) return;
    if (stored.reference === null) this.#documents.delete(session);
    else this.#documents.put(session, { ...stored, recorded: true });
  }

  /** Whether the end of a session that a killed bridge left is still to be recorded here. */
  owes(session: string): boolean {
    return this.#documents.get(session)?.recorded === false;
  }

  /** Transcripts, oldest first. */
  list(machine?: string): TranscriptView[] {
    return this.#documents
      .list()
      .filter((stored) => machine === undefined || [stored.machine.id, stored.machine.name].includes(machine))
      .sort((a, b) => a.startedAt.localeCompare(b.startedAt))
      .map((stored) => this.#view(stored));
  }

  /** One transcript; TRANSCRIPT_NOT_FOUND when there is none, or none any more. */
  show(id: string): TranscriptView {
    const stored = this.#documents.get(id);
    if (stored !== undefined) return this.#view(stored);
    const near = didYouMean(
      id,
      this.list().map((each) => each.id),
    );
    throw new DoorwardError({
      code: "TRANSCRIPT_NOT_FOUND",
      message: `Cannot find transcript "${id}": nothing was recorded, or it was deleted after its retention${near}`,
      hint: "doorward transcript ls",
    });
  }

  /** Deletes what is older than its profile keeps it; answers how many. The records of the sessions stay. */
  async sweep(now = Date.now()): Promise<number> {
    let deleted = 0;
    for (const { session, reference, deleteAt } of this.#documents.list()) {
      if (deleteAt === null || Date.parse(deleteAt) > now) continue;
      const file = reference?.path ?? null;
      if (file !== null) await unlink(join(this.#options.dir, file)).catch(() => undefined);
      this.#documents.delete(session);
      deleted += 1;
    }
    return deleted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweep);
    await Promise.all([...this.#open.keys()].map((session) => this.finish(session)));
  }

  #part(session: string): string {
    return join(this.#parts, `${session}.cast`);
  }

  #view(stored: StoredTranscript): TranscriptView {
    const { session, reference, machine, subject, execution, grant, terminal, startedAt } = stored;
    const path = reference?.path ?? null;
    return TranscriptView.parse({
      ...{ id: session, machine, subject, execution, grant, terminal, startedAt, reference },
      state: reference === null ? "recording" : "kept",
      endedAt: stored.endedAt,
      deleteAt: stored.deleteAt,
      path: path === null ? this.#part(session) : join(this.#options.dir, path),
    });
  }

  async #keep(session: string): Promise<Reference | null> {
    const stored = this.#documents.get(session);
    const path = this.#part(session);
    if (stored === undefined || (await stat(path)).size === 0) return null;
    const options = { mediaType: MEDIA_TYPE, maxBytes: MAX_BYTES };
    const reference = await this.#options.evidence.keep(createReadStream(path), options);
    const endedAt = Date.now();
    this.#documents.put(session, {
      ...stored,
      reference,
      endedAt: new Date(endedAt).toISOString(),
      deleteAt: new Date(endedAt + stored.retentionSeconds * 1000).toISOString(),
    });
    await unlink(path);
    return reference;
  }

  /** Sessions that a killed bridge left: what was written is kept, and their end is recorded as far as it is known. */
  async #recover(): Promise<void> {
    for (const stored of this.#documents.list().filter(({ recorded }) => !recorded))
      await this.#end(stored).catch((error: unknown) => {
        this.#options.log.error({ err: error, session: stored.session }, "transcript could not be recovered");
      });
    for (const name of await readdir(this.#parts))
      if (this.#documents.get(name.replace(/\.cast$/, "")) === undefined)
        await unlink(join(this.#parts, name));
    const referenced = join(this.#options.dir, "referenced");
    for (const name of await readdir(referenced).catch(() => []))
      if (/^\.[0-9a-f-]{36}\.tmp$/.test(name)) await unlink(join(referenced, name));
  }

  async #end(stored: StoredTranscript): Promise<void> {
    const { session, machine, door, subject, grant, correlationId } = stored;
    const path = this.#part(session);
    let transcript = stored.reference;
    let seen = Date.parse(stored.endedAt ?? stored.startedAt);
    const found = await stat(path).catch(() => undefined);
    if (transcript === null && found !== undefined) {
      seen = found.mtimeMs;
      await mend(path);
      transcript = await this.#keep(session);
    } else if (found !== undefined) await unlink(path);
    await this.#close({
      type: "session-close",
      ...{ session, machine, door, subject, grant, correlationId, transcript },
      policyHash: this.#options.policyHash(),
      reason: "BRIDGE_LOST",
      durationMs: Math.max(0, Math.round(seen - Date.parse(stored.startedAt))),
      bytesIn: 0,
      bytesOut: 0,
      exitCode: null,
    });
    this.recorded(session);
  }

  /** Records the end of a session, unless the bridge was lost just after it did. */
  async #close(end: Extract<EvidenceInput, { readonly type: "session-close" }>): Promise<void> {
    const { inFlight, evidence } = this.#options;
    const left = inFlight.session(end.session);
    if (left === undefined || !(await isOver(evidence, left))) await evidence.append(end, left?.note ?? null);
    if (left !== undefined) inFlight.ended(left.note);
  }
}

/** Cuts off a line that was being written, and says how the transcript ended. */
async function mend(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    await file.read(tail, 0, tail.length, size - tail.length);
    const whole = tail.lastIndexOf(0x0a) + 1;
    await file.truncate(whole === 0 ? 0 : size - tail.length + whole);
    if (whole === 0) return;
    const mark = markerLine("the bridge was lost here; the terminal may have gone on");
    await file.write(mark, size - tail.length + whole);
  } finally {
    await file.close();
  }
}
