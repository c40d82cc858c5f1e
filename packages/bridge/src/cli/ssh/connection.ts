import { readFileSync } from "node:fs";
import type { DoorwardClient } from "@doorward/client";
import { DoorwardError } from "@doorward/contracts";
import type { Cli } from "../cli.ts";
import { escapeText } from "@doorward/client/operator";
import { exitCodeOf } from "../terminal/exit-code.ts";
import { clientKey, hostKey } from "./keys.ts";
import { createSshFolders, sshPlace } from "./place.ts";

/** What the machine's image has for the start of a connection. */
const SSHD = "/usr/local/lib/doorward/sshd";
/** The machine's own words in one connection; what is beyond is dropped. */
const MAX_WORDS_BYTES = 4096;
/** After `ssh` went away, the machine has this long to end its side. */
const END_MS = 5000;

/**
 * Carries one SSH connection between this process's streams and a machine's sshd, until either ends it. `ssh` ends its
 * proxy with a hang-up once it has what it wanted, so that is no fault.
 */
export async function carryConnection(cli: Cli, client: DoorwardClient, machine: string): Promise<number> {
  const opening = await connectionOpening(cli, machine);
  const gone = new AbortController();
  const over = AbortSignal.any([cli.signal, gone.signal]);
  const words = new MachineWords(cli);
  cli.stdout.once("error", () => gone.abort());
  try {
    await using session = await client.startExec(machine, [SSHD], {
      stdin: bytesOf(opening, cli, gone),
      stdout: (bytes) => new Promise<void>((resolve) => cli.stdout.write(bytes, () => resolve())),
      stderr: (bytes) => words.add(bytes),
      signal: over,
    });
    return exitCodeOf(await session.done);
  } catch (cause) {
    if (over.aborted) return 0;
    throw withoutSshd(cause, machine);
  }
}

/** The first line for the machine: the program that serves the connection, and the keys of it. */
async function connectionOpening(cli: Cli, machine: string): Promise<Buffer> {
  const place = sshPlace(cli.env);
  createSshFolders(place);
  const opening = {
    program: programText("connection.py"),
    session: programText("session.py"),
    hostKey: await hostKey(place, machine),
    authorizedKey: await clientKey(place),
  };
  return Buffer.from(`${JSON.stringify(opening)}\n`);
}

function programText(name: string): string {
  return readFileSync(new URL(`../../../ssh/${name}`, import.meta.url), "utf8");
}

async function* bytesOf(opening: Buffer, cli: Cli, gone: AbortController): AsyncGenerator<Uint8Array> {
  yield opening;
  for await (const chunk of cli.stdin) {
    if (chunk instanceof Uint8Array) yield chunk;
  }
  setTimeout(() => gone.abort(), END_MS).unref();
}

/** What the machine says beside the connection goes to a person's terminal: little of it, and harmless. */
class MachineWords {
  readonly #cli: Cli;
  #room = MAX_WORDS_BYTES;

  constructor(cli: Cli) {
    this.#cli = cli;
  }

  add(bytes: Uint8Array): void {
    const shown = bytes.subarray(0, this.#room);
    this.#room -= shown.length;
    if (shown.length > 0)
      this.#cli.stderr.write(escapeText(Buffer.from(shown).toString("utf8").replaceAll("\r", "")));
  }
}

function withoutSshd(cause: unknown, machine: string): unknown {
  if (!(cause instanceof DoorwardError) || cause.code !== "COMMAND_NOT_FOUND") return cause;
  return new DoorwardError({
    code: "COMMAND_NOT_FOUND",
    message: `Cannot connect to machine "${machine}": its image has no sshd of Doorward; machines launched from now on have it`,
    hint: `doorward stop ${machine} && doorward start ${machine}`,
    cause,
  });
}
