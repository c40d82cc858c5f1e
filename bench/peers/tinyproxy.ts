import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, untilAnswers } from "./loopback-port.ts";
import type { Missing } from "./missing.ts";

const PROGRAM = "/usr/bin/tinyproxy";

/** A tinyproxy on a loopback port of its own. */
export interface Tinyproxy extends AsyncDisposable {
  readonly port: number;
}

/** Starts it; where it is not installed, installs it when asked to. */
export async function openTinyproxy(install: boolean): Promise<Tinyproxy | Missing> {
  if (!existsSync(PROGRAM) && install) {
    execFileSync("apt-get", ["install", "--yes", "--no-install-recommends", "tinyproxy-bin"], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  }
  if (!existsSync(PROGRAM))
    return { missing: "no tinyproxy: apt-get install tinyproxy-bin, or run with --install" };
  const folder = mkdtempSync(join(tmpdir(), "doorward-tinyproxy-"));
  const port = await freePort();
  const lines = [
    `Port ${String(port)}`,
    "Listen 127.0.0.1",
    "MaxClients 500",
    "Timeout 60",
    "LogLevel Error",
  ];
  writeFileSync(join(folder, "config"), `${lines.join("\n")}\n`);
  const server = spawn(PROGRAM, ["-d", "-c", join(folder, "config")], { stdio: "ignore" });
  await untilAnswers(port);
  return {
    port,
    [Symbol.asyncDispose]() {
      server.kill("SIGTERM");
      rmSync(folder, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}
