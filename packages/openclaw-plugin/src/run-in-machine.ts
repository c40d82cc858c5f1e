import { constants } from "node:os";
import { connect, type ExecOptions } from "@doorward/client";
import { DoorwardError, toDoorwardError, type ExitStatus } from "@doorward/contracts";
import type { Access } from "./access.ts";

/** A script of OpenClaw's file tools. */
export interface ShellScript {
  readonly script: string;
  readonly args?: readonly string[];
  readonly stdin?: Buffer | string;
  readonly allowFailure?: boolean;
  readonly signal?: AbortSignal;
}

/** What a script wrote, and how it ended. */
export interface ShellResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly code: number;
}

/** Output that is kept of one script, as OpenClaw's own backends have it. */
const MAX_OUTPUT_BYTES = 104_857_600;

/** A machine, and the authority over it. */
export interface Place {
  readonly machine: string;
  readonly workdir: string;
  readonly access: Access;
}

/** Runs a script in a machine to its end; a failing one rejects unless it may fail. */
export async function runScript(place: Place, shell: ShellScript): Promise<ShellResult> {
  const argv = ["/bin/sh", "-c", shell.script, "openclaw-sandbox-fs", ...(shell.args ?? [])];
  const result = await runArgv(place, argv, shell);
  if (result.code === 0 || shell.allowFailure === true) return result;
  const said = result.stderr.toString("utf8").trim();
  throw Object.assign(new Error(said === "" ? `The script ended with ${String(result.code)}` : said), result);
}

/** Runs a program in a machine to its end, its output kept; rejects with Doorward's own error when it could not run. */
export async function runArgv(
  place: Place,
  argv: readonly string[],
  { stdin, signal }: Pick<ShellScript, "stdin" | "signal"> = {},
): Promise<ShellResult> {
  const stdout = new Kept();
  const stderr = new Kept();
  const options: ExecOptions = {
    stdin: stdin === undefined ? undefined : once(Buffer.from(stdin)),
    stdout: (bytes) => stdout.add(bytes),
    stderr: (bytes) => stderr.add(bytes),
    cwd: place.workdir,
    signal,
  };
  try {
    await using client = connect(await place.access.credentials());
    const status = await client.exec(place.machine, argv, options);
    return { stdout: stdout.bytes(), stderr: stderr.bytes(), code: exitCode(status) };
  } catch (cause) {
    signal?.throwIfAborted();
    const error = toDoorwardError(cause);
    place.access.refused(error);
    throw error;
  }
}

/** The exit code that a shell would show. */
export function exitCode({ code, signal }: ExitStatus): number {
  if (code !== null) return code;
  const number = Object.entries(constants.signals).find(([name]) => name === signal)?.[1];
  return 128 + (number ?? 0);
}

// eslint-disable-next-line @typescript-eslint/require-await -- the client takes stdin as an async iterable
async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

class Kept {
  readonly #parts: Buffer[] = [];
  #length = 0;

  add(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (this.#length > MAX_OUTPUT_BYTES) {
      throw new DoorwardError({
        code: "INPUT_TOO_LARGE",
        message: `Cannot keep the output: it is over ${String(MAX_OUTPUT_BYTES)} bytes`,
      });
    }
    this.#parts.push(Buffer.from(bytes));
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
