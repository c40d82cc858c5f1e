import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { findProgram, programEnv } from "../program.ts";
import { signalGroup } from "../command.ts";
import { startFailure } from "../start-failure.ts";
import { FileFailure } from "./file-failure.ts";
import { ofHeld } from "./held.ts";
import { Turns } from "./turns.ts";

const MAX_MS = 30_000;
const MAX_RECORD_BYTES = 65_536;
const MAX_COMPLAINT_BYTES = 4096;
/** Programs that search at once, for all streams: each uses every core. */
const MAX_AT_ONCE = 4;
/** Most files that one run gets as descriptors: each run costs a fork of the guest, however few they are. */
const MAX_BATCH = 1000;
/** All batches together leave three quarters of the guest's descriptors to the rest of it. */
const BATCH_SHARE = 1 / (4 * MAX_AT_ONCE);

/** One run of ripgrep. */
export interface RipgrepRun {
  readonly doing: string;
  readonly args: readonly string[];
  /** Folder that it works in, held; the top one when it is given descriptors alone. */
  readonly folder?: number;
  /** Descriptors that it gets as 3, 4 and so on. */
  readonly files?: readonly number[];
  /** What ends a record of its output. */
  readonly separator: "\n" | "\0";
  /** Takes a record; `false` when no more are wanted. */
  record(bytes: Buffer): boolean;
}

/** How a run ended: whether everything was looked at. */
export interface RipgrepEnd {
  readonly complete: boolean;
}

/** ripgrep: the one that came with the guest, or the machine's. */
export class Ripgrep {
  readonly #shipped: string;
  #program: string | undefined;
  readonly #turns = new Turns(MAX_AT_ONCE);
  /** Turns of those that hold a batch of files open. */
  readonly batches = new Turns(MAX_AT_ONCE);
  /** Files of one batch. */
  readonly batchFiles = Math.max(1, Math.min(MAX_BATCH, Math.floor(mostOpenFiles() * BATCH_SHARE)));

  constructor(shipped: string) {
    this.#shipped = shipped;
  }

  /** Runs it to its end, its time-out, or until no more is wanted; its whole group is killed with the signal. */
  async run(run: RipgrepRun, signal: AbortSignal): Promise<RipgrepEnd> {
    const program = this.#find(run.doing);
    using _turn = await this.#turns.take(signal);
    return await begun(program, run, signal).ended;
  }

  #find(doing: string): string {
    this.#program ??= isProgram(this.#shipped) ? this.#shipped : findOwn(doing);
    return this.#program;
  }
}

/** Node tells some refusals of the system by throwing, others by an event. */
function begun(program: string, run: RipgrepRun, signal: AbortSignal): RunningRipgrep {
  try {
    return new RunningRipgrep(program, run, signal);
  } catch (error) {
    throw notStarted(run.doing, error);
  }
}

function notStarted(doing: string, error: unknown): FileFailure {
  const { code, why } = startFailure(error);
  return new FileFailure(code, `${doing}: "rg" can't be run: ${why}`);
}

class RunningRipgrep {
  readonly ended: Promise<RipgrepEnd>;
  readonly #run: RipgrepRun;
  readonly #child: ChildProcess;
  #complaint = "";
  #left: Buffer[] = [];
  #leftBytes = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(program: string, run: RipgrepRun, signal: AbortSignal) {
    this.#run = run;
    const stdio: StdioOptions = ["ignore", "pipe", "pipe", ...(run.files ?? [])];
    this.#child = spawn(program, ["--no-config", ...run.args], {
      cwd: run.folder === undefined ? "/" : ofHeld(run.folder),
      env: programEnv(process.env, {}),
      stdio,
      detached: true,
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#received(chunk));
    this.#child.stderr?.on("data", (chunk: Buffer) => this.#complained(chunk));
    this.ended = this.#wait(signal);
  }

  async #wait(signal: AbortSignal): Promise<RipgrepEnd> {
    const stop = (): void => this.#stop();
    this.#timer = setTimeout(stop, MAX_MS);
    signal.addEventListener("abort", stop, { once: true });
    try {
      const code = await new Promise<number | null>((resolve, reject) => {
        this.#child.once("error", (error) => reject(notStarted(this.#run.doing, error)));
        this.#child.once("close", resolve);
      });
      signal.throwIfAborted();
      // 2 also says that some file could not be read, which is no fault of the request
      if (code === 2 && this.#complaint !== "") throw this.#fail("INPUT_INVALID", shortened(this.#complaint));
      return { complete: !this.#stopped };
    } finally {
      clearTimeout(this.#timer);
      signal.removeEventListener("abort", stop);
    }
  }

  #stop(): void {
    this.#stopped = true;
    if (this.#child.pid !== undefined) signalGroup(this.#child.pid, "SIGKILL");
  }

  #received(chunk: Buffer): void {
    let at = 0;
    const end = this.#run.separator.charCodeAt(0);
    for (let next = chunk.indexOf(end); next !== -1 && !this.#stopped; next = chunk.indexOf(end, at)) {
      this.#keep(chunk.subarray(at, next));
      this.#finishRecord();
      at = next + 1;
    }
    if (!this.#stopped && at < chunk.length) this.#keep(Buffer.from(chunk.subarray(at)));
  }

  #keep(part: Buffer): void {
    this.#leftBytes += part.length;
    if (this.#leftBytes <= MAX_RECORD_BYTES) this.#left.push(part);
  }

  #finishRecord(): void {
    const whole = this.#leftBytes <= MAX_RECORD_BYTES;
    const record = this.#left.length === 1 ? this.#left[0] : Buffer.concat(this.#left);
    this.#left = [];
    this.#leftBytes = 0;
    if (whole && record !== undefined && !this.#run.record(record)) this.#stop();
  }

  #complained(chunk: Buffer): void {
    if (this.#complaint.length < MAX_COMPLAINT_BYTES) this.#complaint += chunk.toString("utf8");
  }

  #fail(code: FileFailure["code"], why: string): FileFailure {
    return new FileFailure(code, `${this.#run.doing}: ${why}`);
  }
}

/** What ripgrep says of a pattern or glob, without its program's name and on one line. */
function shortened(complaint: string): string {
  return complaint.replace(/^rg: /, "").replace(/\s+/g, " ").trim().slice(0, 500);
}

/** How many files this process may have open. */
function mostOpenFiles(): number {
  try {
    const [, most] = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    return Number(most ?? 1024);
  } catch {
    return 1024;
  }
}

function findOwn(doing: string): string {
  try {
    return findProgram("rg", process.env["PATH"], "/");
  } catch {
    const why = `the machine has no "rg"; its package is called "ripgrep"`;
    throw new FileFailure("COMMAND_NOT_FOUND", `${doing}: ${why}`);
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
