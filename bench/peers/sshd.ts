import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { answers, freePort } from "./loopback-port.ts";
import type { Missing } from "./missing.ts";
import { OutputTap, type BenchTerminal, type TerminalPeer } from "./terminal.ts";

const SSHD = "/usr/sbin/sshd";
const SEPARATION = "/run/sshd";

/** An OpenSSH server on a loopback port of its own, with keys and configuration of its own. */
export class Sshd implements TerminalPeer, AsyncDisposable {
  readonly name = "sshd on loopback";
  readonly #folder: string;
  readonly #port: number;
  readonly #server: ChildProcess;
  readonly #madeSeparation: boolean;

  constructor(folder: string, port: number, server: ChildProcess, madeSeparation: boolean) {
    this.#folder = folder;
    this.#port = port;
    this.#server = server;
    this.#madeSeparation = madeSeparation;
  }

  open(argv: readonly string[]): Promise<BenchTerminal> {
    const child = spawn("ssh", [...this.#options(), "-tt", "127.0.0.1", argv.map(quote).join(" ")], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    const tap = new OutputTap();
    child.stdout.on("data", tap.push);
    child.stdin.on("error", () => undefined);
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    return Promise.resolve({
      write: (keys: string) => void child.stdin.write(keys),
      onData: (listener: (bytes: Uint8Array) => void) => tap.listen(listener),
      ended,
      async [Symbol.asyncDispose]() {
        child.kill("SIGTERM");
        await ended;
      },
    });
  }

  /** Waits until it accepts connections. */
  async ready(): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      if (this.#server.exitCode !== null) break;
      if (await answers(this.#port)) return;
      await delay(25);
    }
    throw new Error(`Cannot start ${SSHD} on port ${String(this.#port)}`);
  }

  #options(): string[] {
    return [
      ...["-F", "none", "-p", String(this.#port), "-i", join(this.#folder, "user")],
      ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
      ...["-o", "IdentitiesOnly=yes", "-l", userInfo().username],
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.exitCode === null) {
      const ended = new Promise((resolve) => this.#server.once("exit", resolve));
      this.#server.kill("SIGTERM");
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
    if (this.#madeSeparation) rmSync(SEPARATION, { recursive: true, force: true });
  }
}

/** Starts it; where it is not installed, installs it when asked to. */
export async function openSshd(install: boolean): Promise<Sshd | Missing> {
  if (!existsSync(SSHD) && install) {
    execFileSync("apt-get", ["install", "--yes", "--no-install-recommends", "openssh-server"], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  }
  if (!existsSync(SSHD)) return { missing: "no sshd: apt-get install openssh-server, or run with --install" };
  const madeSeparation = process.getuid?.() === 0 && !existsSync(SEPARATION);
  if (madeSeparation) mkdirSync(SEPARATION, { mode: 0o755 });
  const folder = mkdtempSync(join(tmpdir(), "doorward-sshd-"));
  const port = await freePort();
  writeFileSync(join(folder, "config"), configuration(folder, port));
  for (const key of ["host", "user"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, key)]);
  const server = spawn(SSHD, ["-D", "-e", "-f", join(folder, "config")], { stdio: "ignore" });
  const sshd = new Sshd(folder, port, server, madeSeparation);
  try {
    await sshd.ready();
    return sshd;
  } catch (error) {
    await sshd[Symbol.asyncDispose]();
    throw error;
  }
}

function configuration(folder: string, port: number): string {
  return [
    `Port ${String(port)}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${join(folder, "host")}`,
    `AuthorizedKeysFile ${join(folder, "user.pub")}`,
    "PidFile none",
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin prohibit-password",
    "PrintMotd no",
    "PrintLastLog no",
    // bash reads no ~/.bashrc in a shell within a shell: what a user has there is no part of the measurement
    "SetEnv SHLVL=1",
    "",
  ].join("\n");
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
