import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { openCheckpoint } from "./checkpoint.ts";
import { cosignedAt, parseWitnessVkey, type WitnessVerifier } from "./cosignature.ts";
import { makeFolder, replaceFile } from "./files.ts";
import { LogFiles } from "./log-files.ts";
import { askWitness } from "./witness-client.ts";
import { readWitnessList, type WitnessPlace } from "./witness-list.ts";

/** Where a log keeps the last checkpoint that a witness cosigned, or that witness's verifier key line, by the key's hash. */
export function witnessFile(verifier: WitnessVerifier, kind: "checkpoint" | "vkey"): string {
  return `witness/${verifier.hash.toString("hex")}.${kind}`;
}

/** A checkpoint is sent to witnesses at most this often. */
const pauseMs = 1000;

/** At the end witnesses have this long to cosign the last checkpoint. */
const lastMs = 2000;

/** After a failure witnesses are asked again although nothing was added. */
const retryMs = 30_000;

/** How one witness stands. */
export interface WitnessState {
  readonly name: string;
  readonly place: string;
  /** Records under its newest cosignature of this run or the one before; 0 without any. */
  readonly size: number;
  /** Seconds since the epoch of that cosignature; null without any. */
  readonly time: number | null;
  /** Why the last attempt gave no cosignature; null when it did. */
  readonly problem: string | null;
}

/**
 * Has published checkpoints cosigned by the witnesses in `witnesses.json`, the newest one each time. It runs beside the
 * log: a witness that fails or is slow holds up nothing, and shows in {@link states}.
 */
export class Witnessing implements AsyncDisposable {
  readonly #dir: string;
  readonly #files: LogFiles;
  readonly #log: Logger;
  readonly #abort = new AbortController();
  readonly #states = new Map<string, WitnessState>();
  #newest: string | null = null;
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #askedAt = 0;
  #closing: Promise<void> | null = null;

  /** `dir` is the log's folder; the list of witnesses lies in the folder above it. */
  constructor(dir: string, log: Logger) {
    this.#dir = dir;
    this.#files = new LogFiles(dir);
    this.#log = log;
  }

  /** How each witness stands, as far as it was asked. */
  get states(): readonly WitnessState[] {
    return [...this.#states.values()];
  }

  /** Takes note of a checkpoint that was published. */
  published(checkpoint: string): void {
    this.#newest = checkpoint;
    this.#soon(Math.max(0, this.#askedAt + pauseMs - Date.now()));
  }

  /** Asks every witness for its cosignature of the newest checkpoint, and waits for the answers. */
  async settle(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#running;
    await this.#run();
  }

  /** Asks for the newest checkpoint once more, then stops; a witness that does not answer holds up nothing for long. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    // a folder on a disk that hangs can't be aborted: it is left behind
    await within(lastMs, this.settle());
    this.#abort.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await within(lastMs, this.#running);
  }

  #soon(delay: number): void {
    if (this.#abort.signal.aborted || this.#running !== null) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.#run();
    }, delay).unref();
  }

  #run(): Promise<void> {
    this.#running ??= this.#round()
      .catch((error: unknown) => this.#log.warn({ err: error }, "evidence: witnesses can't be asked"))
      .then(() => {
        this.#running = null;
        const isBehind = this.states.some(({ problem }) => problem !== null);
        if (this.#newest !== null) this.#soon(isBehind ? retryMs : pauseMs);
      });
    return this.#running;
  }

  async #round(): Promise<void> {
    const checkpoint = this.#newest;
    if (checkpoint === null) return;
    this.#askedAt = Date.now();
    const places = await readWitnessList(dirname(this.#dir));
    const answers = await Promise.all(places.map((place) => this.#ask(checkpoint, place)));
    const names = new Set(places.map(({ vkey }) => parseWitnessVkey(vkey).name));
    for (const name of this.#states.keys()) if (!names.has(name)) this.#states.delete(name);
    // everything was asked for this one; it is asked for again only after a failure
    if (this.#newest === checkpoint && answers.every((cosigned) => cosigned)) this.#newest = null;
  }

  /** Whether a witness cosigned. */
  async #ask(checkpoint: string, place: WitnessPlace): Promise<boolean> {
    const verifier = parseWitnessVkey(place.vkey);
    const { name } = verifier;
    const known = this.#states.get(name) ?? (await this.#stateBefore(place, verifier));
    try {
      const given = await askWitness(this.#files, checkpoint, place, known.size, this.#abort.signal);
      await this.#keep(verifier, place.vkey, `${checkpoint}${given.lines}`);
      this.#states.set(name, { ...known, size: given.size, time: given.time, problem: null });
      return true;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (known.problem !== problem)
        this.#log.warn({ err: error, witness: name }, "evidence: a witness did not cosign the checkpoint");
      this.#states.set(name, { ...known, problem });
      return false;
    }
  }

  async #keep(verifier: WitnessVerifier, vkey: string, checkpoint: string): Promise<void> {
    await makeFolder(join(this.#dir, "witness"));
    await replaceFile(join(this.#dir, witnessFile(verifier, "vkey")), Buffer.from(`${vkey}\n`));
    await replaceFile(join(this.#dir, witnessFile(verifier, "checkpoint")), Buffer.from(checkpoint), {
      sync: true,
    });
  }

  async #stateBefore(place: WitnessPlace, verifier: WitnessVerifier): Promise<WitnessState> {
    const where = "folder" in place ? place.folder : place.url;
    const unknown = { name: verifier.name, place: where, size: 0, time: null, problem: null };
    try {
      const path = join(this.#dir, witnessFile(verifier, "checkpoint"));
      const { note, size } = openCheckpoint(await readFile(path, "utf8"));
      const time = cosignedAt(note, verifier);
      return time === null ? unknown : { ...unknown, size, time };
    } catch {
      return unknown;
    }
  }
}

/** Waits for something, at most so long. */
async function within(ms: number, promise: Promise<void> | null): Promise<void> {
  const stop = new AbortController();
  const late = delay(ms, undefined, { signal: stop.signal }).catch(() => undefined);
  await Promise.race([promise, late]);
  stop.abort();
}
