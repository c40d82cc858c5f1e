import { mkdir, watch } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { DoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import * as z from "zod";
import type { EngineContainer, EngineExit } from "../engine.ts";
import { readText } from "../../hosts/linux/read-text.ts";
import { hitMemoryLimit, parseCgroups } from "./cgroup-limits.ts";
import { installationLabel } from "./container-spec.ts";
import type { EngineFolders } from "./engine-folders.ts";
import type { LibpodApi } from "./libpod-api.ts";

const Event = z.object({
  Action: z.string(),
  Actor: z.object({ ID: z.string(), Attributes: z.record(z.string(), z.string()).nullish() }),
});
const Ended = z.object({
  State: z.object({ ExitCode: z.int(), OOMKilled: z.boolean(), Running: z.boolean() }),
});
const killedBySignal = 137;
/** Exit code of a container that was removed while nobody could look. */
const unknownExit = -1;

/** Tells when containers of this installation end, also those that end while Podman's service is away. */
export class ExitWatch implements AsyncDisposable {
  readonly #api: LibpodApi;
  readonly #exitFiles: string;
  readonly #installationId: string;
  readonly #list: () => Promise<readonly EngineContainer[]>;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(exit: EngineExit) => void>();
  /** Running containers with the control groups of their first process, which are gone once it has ended. */
  readonly #running = new Map<string, ReadonlyMap<string, string>>();
  /** Containers whose memory limit killed something, seen at the moment they ended. */
  readonly #hitLimit = new Set<string>();
  #loop: Promise<void> = Promise.resolve();

  constructor(
    api: LibpodApi,
    folders: EngineFolders,
    installationId: string,
    list: () => Promise<readonly EngineContainer[]>,
    log: Logger,
  ) {
    this.#api = api;
    this.#exitFiles = join(folders.tmpDir, "exits");
    this.#installationId = installationId;
    this.#list = list;
    this.#log = log;
  }

  /** Begins to watch. */
  start(): void {
    this.#loop = Promise.all([this.#run(), this.#watchExitFiles()]).then(() => undefined);
  }

  /** Calls `listener` for every end until the result is disposed. */
  add(listener: (exit: EngineExit) => void): Disposable {
    this.#listeners.add(listener);
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
      },
    };
  }

  /** Remembers a container that has just been started. */
  follow(containerId: string, pid: number): void {
    this.#running.set(containerId, parseCgroups(readText(`/proc/${String(pid)}/cgroup`) ?? ""));
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        await this.#watchOnce();
      } catch (error) {
        if (!isAbort(error)) this.#log.debug({ err: error }, "event stream ended; opening it again");
      }
      await delay(50, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    }
  }

  /** conmon writes a file the moment a container ends; soon after, its control group and what it counted are gone. */
  async #watchExitFiles(): Promise<void> {
    await mkdir(this.#exitFiles, { recursive: true, mode: 0o750 });
    try {
      for await (const { filename } of watch(this.#exitFiles, { signal: this.#closing.signal })) {
        const cgroups = filename === null ? undefined : this.#running.get(filename);
        if (filename !== null && cgroups !== undefined && hitMemoryLimit(cgroups))
          this.#hitLimit.add(filename);
      }
    } catch (error) {
      if (!isAbort(error)) this.#log.warn({ err: error }, "can't see machines run out of memory");
    }
  }

  async #watchOnce(): Promise<void> {
    // A stream of its own each time: what hangs on the signal of one attempt goes with it.
    const attempt = new AbortController();
    const stop = (): void => {
      attempt.abort();
    };
    this.#closing.signal.addEventListener("abort", stop, { once: true });
    try {
      await this.#follow(attempt.signal);
    } finally {
      this.#closing.signal.removeEventListener("abort", stop);
      stop();
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const filters = {
      type: ["container"],
      event: ["died"],
      label: [`${installationLabel}=${this.#installationId}`],
    };
    const query = { stream: "true", filters: JSON.stringify(filters) };
    const stream = await this.#api.stream({ method: "GET", path: "/events", query, signal });
    await this.#catchUp();
    for await (const line of createInterface({ input: stream, signal })) {
      const parsed = Event.safeParse(parseJson(line));
      if (parsed.success) await this.#ended(parsed.data.Actor.ID, exitCodeOf(parsed.data));
    }
  }

  /** The stream tells nothing of what ended before it was opened. */
  async #catchUp(): Promise<void> {
    const found = await this.#list();
    const alive = found.filter(({ state }) => state === "running" || state === "paused");
    for (const { containerId, pid } of alive)
      if (!this.#running.has(containerId)) this.follow(containerId, pid);
    const stillAlive = new Set(alive.map(({ containerId }) => containerId));
    for (const containerId of [...this.#running.keys()]) {
      if (!stillAlive.has(containerId)) await this.#ended(containerId);
    }
  }

  async #ended(containerId: string, told?: number): Promise<void> {
    const cgroups = this.#running.get(containerId);
    if (cgroups === undefined) return;
    const hitLimit = this.#hitLimit.delete(containerId) || hitMemoryLimit(cgroups);
    const inspected = await this.#api
      .json(Ended, { method: "GET", path: `/containers/${containerId}/json` })
      .catch(() => null);
    // A container that was restarted in the meantime is followed anew.
    if (inspected?.State.Running === true || !this.#running.delete(containerId)) return;
    const exitCode = told ?? inspected?.State.ExitCode ?? unknownExit;
    const oomKilled = inspected?.State.OOMKilled === true || (exitCode === killedBySignal && hitLimit);
    for (const listener of this.#listeners) listener({ containerId, exitCode, oomKilled });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#listeners.clear();
    await this.#loop;
  }
}

function exitCodeOf({ Actor }: z.infer<typeof Event>): number | undefined {
  const code = Number(Actor.Attributes?.["containerExitCode"] ?? Number.NaN);
  return Number.isSafeInteger(code) ? code : undefined;
}

function isAbort(error: unknown): boolean {
  return (
    error instanceof Error &&
    (error.name === "AbortError" || (error instanceof DoorwardError && error.code === "ABORTED"))
  );
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
