import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readdirSync, rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { DoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import * as z from "zod";
import { ownCommandLine, readText } from "../../hosts/linux/read-text.ts";
import type { EngineFolders } from "./engine-folders.ts";
import type { LibpodApi } from "./libpod-api.ts";
import { podmanInvocation } from "./podman-config.ts";
import { findProgram } from "./runtime-choice.ts";

const readyWithinMs = 15_000;
const pingMs = 2_000;
const longestPauseMs = 1_000;

/** Our own `podman system service`: started with the engine, started again when it dies, stopped with the engine. */
export class PodmanService implements AsyncDisposable {
  readonly #folders: EngineFolders;
  readonly #api: LibpodApi;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  #child: ChildProcess | null = null;
  #ready: Promise<void>;

  constructor(folders: EngineFolders, api: LibpodApi, log: Logger) {
    this.#folders = folders;
    this.#api = api;
    this.#log = log;
    this.#ready = Promise.resolve();
  }

  /** Replaces a service that an earlier bridge left, starts ours, and waits until it answers. */
  async start(signal: AbortSignal): Promise<void> {
    await killStale(this.#folders);
    this.#ready = this.#launch();
    await abortable(this.#ready, signal);
  }

  /** Waits until the service answers; it may be on its way up again. */
  async ready(signal?: AbortSignal): Promise<void> {
    await abortable(this.#ready, signal);
  }

  /** Pid of the running service, for tests and `doctor`. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async #launch(): Promise<void> {
    const child = launchService(this.#folders);
    this.#child = child;
    await this.#answers(child);
    child.once("exit", () => {
      this.#revive(child);
    });
    if (hasEnded(child)) this.#revive(child);
  }

  #revive(ended: ChildProcess): void {
    if (this.#closing.signal.aborted || ended !== this.#child) return;
    this.#child = null;
    this.#log.warn(
      { code: ended.exitCode, signal: ended.signalCode },
      "podman service ended; starting it again",
    );
    this.#ready = this.#launchUntilReady();
    // Whoever calls next sees the failure; nobody may be waiting right now.
    this.#ready.catch(() => undefined);
  }

  async #launchUntilReady(): Promise<void> {
    for (let pause = 50; !this.#closing.signal.aborted; pause = Math.min(pause * 2, longestPauseMs)) {
      try {
        await this.#launch();
        return;
      } catch (error) {
        this.#log.error({ err: error }, "podman service did not come back");
        await delay(pause, undefined, { signal: this.#closing.signal });
      }
    }
  }

  async #answers(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + readyWithinMs;
    const failures: string[] = [];
    child.once("error", (error) => {
      failures.push(error.message);
    });
    while (Date.now() < deadline && !this.#closing.signal.aborted) {
      if (failures.length > 0 || hasEnded(child)) break;
      try {
        await this.#api.json(z.unknown(), {
          method: "GET",
          path: "/_ping",
          signal: AbortSignal.timeout(pingMs),
        });
        return;
      } catch {
        await delay(8);
      }
    }
    throw unreachable(this.#folders, failures[0] ?? null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    const child = this.#child;
    if (child !== null && !hasEnded(child)) {
      const ended = new Promise<void>((resolve) =>
        child.once("exit", () => {
          resolve();
        }),
      );
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), 2_000);
      await ended;
      clearTimeout(killer);
    }
    rmSync(this.#folders.socket, { force: true });
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function unreachable(folders: EngineFolders, failed: string | null): DoorwardError {
  const tail = (readText(folders.serviceLog) ?? "").trim().split("\n").slice(-3).join("; ");
  return new DoorwardError({
    code: "PODMAN_UNREACHABLE",
    message: `Cannot start Podman's service on "${folders.socket}": ${failed ?? (tail || "it does not answer")}`,
    hint: `cat ${folders.serviceLog}`,
  });
}

function launchService(folders: EngineFolders): ChildProcess {
  const { args, env } = podmanInvocation(folders);
  const podman = findProgram("podman") ?? "podman";
  const service = [...args, "system", "service", "--time=0", `unix://${folders.socket}`];
  rmSync(folders.socket, { force: true });
  const log = openSync(folders.serviceLog, "w", 0o600);
  try {
    // The kernel ends the service with us; where setpriv is missing, the next start finds it by its pid.
    const setpriv = findProgram("setpriv");
    const command = setpriv === null ? podman : setpriv;
    const argv = setpriv === null ? service : ["--pdeathsig", "KILL", podman, ...service];
    // A group of its own keeps the terminal's Ctrl-C from the service.
    return spawn(command, argv, { env, detached: true, stdio: ["ignore", log, log], cwd: "/" });
  } finally {
    closeSync(log);
  }
}

/** Ends services on our socket that a killed bridge left; containers live on under their own conmon. */
async function killStale(folders: EngineFolders): Promise<void> {
  const stale = servicePids(folders.socket);
  for (const pid of stale) tryKill(pid);
  for (let round = 0; round < 200 && stale.some((pid) => isService(pid, folders.socket)); round++)
    await delay(5);
}

function servicePids(socket: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isSafeInteger(pid) && pid > 1 && isService(pid, socket));
}

function isService(pid: number, socket: string): boolean {
  const argv = ownCommandLine(pid);
  return argv.includes("service") && argv.includes(`unix://${socket}`);
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself in the meantime.
  }
}

function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(new DoorwardError({ code: "ABORTED", message: "The operation was stopped" }));
    };
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", stop);
    });
  });
}
