import { ReadStream } from "node:tty";
import { DoorwardError, HeaderSecret, MachineSecret, SecretValue } from "@doorward/contracts";
import type * as z from "zod";
import type { Cli, TerminalReadable } from "./cli.ts";
import { usage } from "./parse-input.ts";

const MOST_BYTES = 65_536;
const ENTER = /[\r\n]/;
const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const ERASE = new Set(["\u007f", "\b"]);
const BINDING_OPTIONS = new Set(["env", "port", "prefix"]);
const ERASE_ALL = "\u0015";

/** The name of a secret as an argument. */
export function secretArgument(given: unknown, schema: z.ZodType<string>): string {
  const judged = schema.safeParse(given);
  if (judged.success) return judged.data;
  throw usage(
    "Cannot use this name: a secret's name is capital letters, digits and underscores, e.g. NPM_TOKEN",
    "name",
  );
}

/**
 * The value, from a terminal without echo or from stdin up to its end; one newline at the end is not part of it. No
 * error tells anything of the value.
 */
export async function readSecretValue(cli: Cli, name: string): Promise<string> {
  const { stdin } = cli;
  const given = isTerminal(stdin) ? await typed(cli, stdin, name) : await piped(stdin);
  const judged = SecretValue.safeParse(given);
  if (judged.success) return judged.data;
  const why =
    given.length < 8
      ? "it has fewer than 8 characters"
      : given.length > 4096
        ? "it has more than 4096 characters"
        : "it has characters that a header can't carry (control characters, spaces at an end, or not ASCII)";
  throw new DoorwardError({ code: "INPUT_INVALID", message: `Cannot set secret "${name}": ${why}` });
}

/** `NAME=host,header[,env=VAR][,port=N][,prefix=P]` or `NAME=file`, as `up --secret` takes it. */
export function parseSecretBinding(text: string): MachineSecret {
  const equals = text.indexOf("=");
  const name = text.slice(0, Math.max(0, equals));
  const parts = text.slice(equals + 1).split(",");
  const judged =
    parts.length === 1 && parts[0] === "file"
      ? MachineSecret.safeParse({ name, as: "file" })
      : HeaderSecret.safeParse({ name, ...headerBinding(parts) });
  if (equals > 0 && judged.success) return judged.data;
  throw usage(
    `Cannot use --secret "${text.slice(0, 200)}": it is NAME=host,header[,env=VARIABLE][,port=PORT][,prefix=TEXT] or NAME=file`,
    "secret",
  );
}

function headerBinding([host = "", header = "", ...rest]: readonly string[]): Record<string, unknown> {
  const options = new Map(rest.map((part) => split(part)));
  const known = [...options.keys()].every((key) => BINDING_OPTIONS.has(key));
  if (!known || options.size !== rest.length) return {};
  const [env, prefix, port] = [options.get("env"), options.get("prefix"), options.get("port")];
  return {
    host: host.toLowerCase(),
    header: header.toLowerCase(),
    ...(env === undefined ? {} : { env }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(port === undefined ? {} : { port: Number(port) }),
  };
}

function split(part: string): [string, string] {
  const equals = part.indexOf("=");
  return [part.slice(0, Math.max(0, equals)), part.slice(equals + 1)];
}

function isTerminal(stdin: TerminalReadable): stdin is ReadStream {
  return stdin instanceof ReadStream && stdin.isTTY;
}

async function piped(stdin: TerminalReadable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > MOST_BYTES) {
      throw new DoorwardError({ code: "INPUT_TOO_LARGE", message: "Cannot read the value: it is too long" });
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}

async function typed(cli: Cli, stdin: ReadStream, name: string): Promise<string> {
  cli.stderr.write(`Value of ${name} (not shown): `);
  stdin.setRawMode(true);
  try {
    return await readLine(stdin, cli.signal);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    cli.stderr.write("\n");
  }
}

function readLine(stdin: ReadStream, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = "";
    const done = (end: () => void): void => {
      stdin.off("data", take).off("end", stopped);
      signal.removeEventListener("abort", stopped);
      end();
    };
    const stopped = (): void => {
      done(() => {
        reject(new DoorwardError({ code: "ABORTED", message: "Cannot read the value: it was not given" }));
      });
    };
    const take = (chunk: Buffer | string): void => {
      for (const char of chunk.toString()) {
        if (ENTER.test(char)) {
          done(() => {
            resolve(line);
          });
          return;
        }
        // Without the terminal's own handling the key has to become the signal that it stands for.
        if (char === CTRL_C) process.kill(process.pid, "SIGINT");
        if (char === CTRL_C || char === CTRL_D || line.length > MOST_BYTES) {
          stopped();
          return;
        }
        line = char === ERASE_ALL ? "" : ERASE.has(char) ? line.slice(0, -1) : line + char;
      }
    };
    signal.addEventListener("abort", stopped, { once: true });
    stdin.on("data", take).once("end", stopped);
    stdin.resume();
  });
}
