// A rootless bridge's link to a machine: takes the machine's egress port and tells who serves a connection to it, and why.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { dialPort } from "@doorward/guest";
import { pino } from "pino";
import { listenForGuest } from "../src/machines/guest/index.ts";
import { nativeFfi, nativePty, shippedRipgrep, soon, stop } from "./guest-harness.ts";

const EGRESS_PORT = 3128;
const [bundle = ""] = process.argv.slice(2);
const warnings: string[] = [];
const log = pino({ level: "warn" }, { write: (line) => void warnings.push(line) });

const folder = await mkdtemp(join(tmpdir(), "dw-port-"));
await using link = await listenForGuest({ socketPath: join(folder, "m", "guest.sock"), log });
const guest = spawn(
  "unshare",
  [
    ...["--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "guest"],
    ...[process.execPath, bundle, "--socket", join(folder, "m", "guest.sock")],
    ...["--pty", nativePty, "--ffi", nativeFfi, "--rg", shippedRipgrep, "--egress-port", String(EGRESS_PORT)],
  ],
  { stdio: ["ignore", "ignore", "inherit"], cwd: folder },
);
try {
  await link.ready(soon());
  await link.takeEgressPort(guest.pid ?? 0);
  const arriving = new Promise<Duplex>((resolve) => void link.onEgress(resolve));
  const program = await connected();
  const arrived = await arriving;
  // A connection that the guest hands on comes over its Unix socket.
  const servedBy = "remoteFamily" in arrived && arrived.remoteFamily === "IPv4" ? "bridge" : "guest";
  arrived.end("from outside");
  const parts: Buffer[] = [];
  for await (const part of program) parts.push(part as Buffer);
  program.destroy();
  const heard = Buffer.concat(parts).toString();
  process.stdout.write(JSON.stringify({ uid: process.getuid?.(), servedBy, heard, warnings }));
} finally {
  await stop(guest);
  await rm(folder, { recursive: true, force: true });
}

/** A program of the machine at the port, as soon as somebody listens there. */
async function connected(): Promise<Duplex> {
  const patience = soon();
  for (;;) {
    try {
      return await dialPort(link, EGRESS_PORT, patience);
    } catch (error) {
      patience.throwIfAborted();
      if (!(error instanceof Error && "code" in error && error.code === "PORT_CLOSED")) throw error;
    }
  }
}
