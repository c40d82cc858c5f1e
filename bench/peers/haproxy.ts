import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, untilAnswers } from "./loopback-port.ts";
import type { Missing } from "./missing.ts";

const PROGRAM = "/usr/sbin/haproxy";

/** An haproxy on a loopback port of its own that carries bytes to one port of loopback, by splice(2). */
export interface Haproxy extends AsyncDisposable {
  readonly port: number;
}

/** Starts it in front of a port; where it is not installed, installs it when asked to. */
export async function openHaproxy(install: boolean, far: number): Promise<Haproxy | Missing> {
  if (!existsSync(PROGRAM) && install) {
    execFileSync("apt-get", ["install", "--yes", "--no-install-recommends", "haproxy"], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  }
  if (!existsSync(PROGRAM)) return { missing: "no haproxy: apt-get install haproxy, or run with --install" };
  const folder = mkdtempSync(join(tmpdir(), "doorward-haproxy-"));
  const port = await freePort();
  writeFileSync(join(folder, "config"), configuration(port, far));
  const server = spawn(PROGRAM, ["-db", "-f", join(folder, "config")], { stdio: "ignore" });
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

function configuration(port: number, far: number): string {
  return [
    "global",
    "  maxconn 1000",
    "defaults",
    "  mode tcp",
    "  option splice-auto",
    "  timeout connect 5s",
    "  timeout client 60s",
    "  timeout server 60s",
    "listen relay",
    `  bind 127.0.0.1:${String(port)}`,
    `  server far 127.0.0.1:${String(far)}`,
    "",
  ].join("\n");
}
