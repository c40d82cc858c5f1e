import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";

const SERVER = "/usr/lib/openssh/sftp-server";
const CLIENT = "/usr/bin/sftp";

/** What mends that it is absent. */
export const SFTP_MISSING = "no sftp: apt-get install openssh-client openssh-sftp-server";

/** Whether OpenSSH's sftp and its server are on this host. */
export function hasSftp(): boolean {
  return existsSync(SERVER) && existsSync(CLIENT);
}

/** Runs one command of sftp at a server on this host, without a network or encryption. */
export function sftp(command: string): Promise<void> {
  return runProgram(CLIENT, ["-q", "-b", "-", "-D", SERVER], { input: `${command}\n` });
}

/** Runs a program to its end; exit code 1 means to `rg` that nothing was found. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly input?: string } = {},
): Promise<void> {
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "inherit"] });
  const exited = once(child, "exit").then((results: unknown[]) => results[0]);
  child.stdin.end(options.input ?? "");
  const code = await exited;
  const fine = options.input === undefined ? code === 0 || code === 1 : code === 0;
  if (!fine) throw new Error(`${program} ended with ${String(code)}`);
}
