import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statfsSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { DoorwardError, isErrorCode } from "@doorward/contracts";
import { checkRuntime, createFolders, lockHolder, resolveFolders, type Folders } from "../state/index.ts";
import type { Cli } from "./cli.ts";
import { daemonCommand, daemonEnvironment } from "./daemon-command.ts";
import { shellWord } from "./shell-word.ts";

/** Whether a bridge answers: not at all, alive, or ready to launch machines. */
export type BridgeState = "absent" | "alive" | "ready";

/** Where the bridge of this user listens and logs. */
export interface BridgePlace {
  readonly folders: Folders;
  readonly socket: string;
  readonly startLog: string;
}

/** Time for a started bridge to answer at all, in milliseconds. */
const START_TIMEOUT_MS = 30_000;
/** Time for a bridge to end after it was told to, in milliseconds. */
const STOP_TIMEOUT_MS = 15_000;
const PROBE_TIMEOUT_MS = 3_000;
const TAIL_LINES = 12;
const LEAST_SPACE_BYTES = 65_536;

/** The bridge's place by the environment; a runtime folder that others control is refused. */
export function bridgePlace(env: Cli["env"]): BridgePlace {
  const folders = resolveFolders(env);
  checkRuntime(folders);
  return {
    folders,
    socket: join(folders.runtime, "bridge.sock"),
    startLog: join(folders.state, "logs", "bridge-start.log"),
  };
}

/** Asks `/readyz` once. */
export function probeBridge(socket: string): Promise<BridgeState> {
  return new Promise((resolve) => {
    const probe = request(
      { socketPath: socket, path: "/readyz", timeout: PROBE_TIMEOUT_MS, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200 ? "ready" : "alive");
      },
    );
    probe.once("timeout", () => probe.destroy());
    probe.once("error", () => resolve("absent"));
    probe.end();
  });
}

/** Starts a bridge that outlives this command, and waits until it answers; `waiting` is told the time every second. */
export async function startBridge(
  place: BridgePlace,
  cli: Pick<Cli, "env" | "signal">,
  waiting: (elapsedMs: number) => void,
): Promise<void> {
  const child = spawnBridge(place, cli.env);
  const started = performance.now();
  let shown = 1000;
  while (performance.now() - started < START_TIMEOUT_MS) {
    cli.signal.throwIfAborted();
    if ((await probeBridge(place.socket)) !== "absent") return;
    // Another command may have started a bridge first: ours then ends, and that one answers a moment later.
    if (child.ended() !== undefined && (await settles(place.socket)) === "absent")
      throw startFailed(place, child.ended());
    await sleep(40);
    if (performance.now() - started < shown) continue;
    waiting(performance.now() - started);
    shown += 1000;
  }
  throw startFailed(place, `it did not answer within ${START_TIMEOUT_MS / 1000} s`);
}

/** Waits until nothing answers and the bridge's process has ended; false when it is still there in the end. */
export async function bridgeGone({ socket, folders }: BridgePlace): Promise<boolean> {
  const started = performance.now();
  while (performance.now() - started < STOP_TIMEOUT_MS) {
    const absent = (await probeBridge(socket)) === "absent";
    if (absent && lockHolder(folders.state) === undefined) return true;
    await sleep(50);
  }
  return false;
}

/** Waits until the bridge is ready, or says why it will not be, or the time is over. */
export async function bridgeSettled(
  socket: string,
  problems: () => Promise<readonly string[]>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const started = performance.now();
  while (performance.now() - started < timeoutMs) {
    signal.throwIfAborted();
    if ((await probeBridge(socket)) !== "alive") return;
    if ((await problems()).length > 0) return;
    await sleep(100);
  }
}

interface BridgeChild {
  /** How it ended; undefined while it runs. */
  ended(): string | undefined;
}

function spawnBridge(place: BridgePlace, env: Cli["env"]): BridgeChild {
  createFolders(place.folders);
  mkdirSync(join(place.folders.state, "logs"), { recursive: true, mode: 0o700 });
  const log = openSync(place.startLog, "w", 0o600);
  const { program, args } = daemonCommand();
  let ended: string | undefined;
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: place.folders.state,
      env: daemonEnvironment(env),
    });
    child.once("exit", (code, signal) => (ended = `it ended with ${signal ?? `code ${String(code)}`}`));
    child.once("error", (cause) => (ended = cause.message));
    child.unref();
  } finally {
    closeSync(log);
  }
  return { ended: () => ended };
}

async function settles(socket: string): Promise<BridgeState> {
  for (let attempt = 0; attempt < 25; attempt += 1) {
    const state = await probeBridge(socket);
    if (state !== "absent") return state;
    await sleep(40);
  }
  return "absent";
}

function startFailed(place: BridgePlace, why: string | undefined): DoorwardError {
  const said = existsSync(place.startLog) ? readFileSync(place.startLog, "utf8").trimEnd() : "";
  const tail = said.split("\n").slice(-TAIL_LINES).join("\n");
  return (
    ownWords(said, place) ??
    new DoorwardError({
      code: "BRIDGE_UNREACHABLE",
      message: `Cannot start the bridge: ${why ?? "it ended"}${tail === "" ? silence(place) : `\n${tail}`}`,
      hint: isFull(place) ? `df ${shellWord(place.folders.state)}` : "doorward doctor",
      details: { log: place.startLog },
    })
  );
}

/** A bridge whose log can't be written can't say why it ended. */
function silence(place: BridgePlace): string {
  return isFull(place) ? `, and no space is left for "${place.folders.state}"` : "";
}

function isFull({ folders }: BridgePlace): boolean {
  const { bavail, bsize } = statfsSync(folders.state);
  return bavail * bsize < LEAST_SPACE_BYTES;
}

/** The error that a bridge ended with, as it wrote it: code and message, and a hint on the next line. */
function ownWords(said: string, place: BridgePlace): DoorwardError | undefined {
  const [, code = "", message = "", hint] = /^([A-Z_]+): (.+)(?:\n {2}(.+))?$/m.exec(said) ?? [];
  if (!isErrorCode(code)) return undefined;
  return new DoorwardError({
    code,
    message: `Cannot start the bridge: ${message}`,
    hint: hint ?? "doorward doctor",
    details: { log: place.startLog },
  });
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
