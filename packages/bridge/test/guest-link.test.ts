import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../../../test/support/free-port.ts";
import { listenForGuest } from "../src/machines/guest/index.ts";
import {
  Watcher,
  attaching,
  creating,
  guestBundle,
  nativePty,
  quiet,
  soon,
  startLab,
  stop,
  until,
  type Lab,
} from "./guest-harness.ts";
import { code, execOpen, folder, lonelyLink, nextSocket } from "./guest-link-lab.ts";

test("the socket's folder lets the machine through, and the folder above nobody", async () => {
  const { link, path } = await lonelyLink();
  const mode = async (of: string): Promise<number> => (await stat(of)).mode & 0o777;
  assert.equal(await mode(path), 0o666);
  assert.equal(await mode(dirname(path)), 0o711);
  await link[Symbol.asyncDispose]();
  await chmod(folder, 0o755);
  await assert.rejects(listenForGuest({ socketPath: nextSocket(), log: quiet }), code("HOST_UNSUPPORTED"));
  await chmod(folder, 0o700);
});

test("a file or symlink in the socket's place is not removed", async () => {
  for (const put of [
    (path: string) => writeFile(path, "keep"),
    (path: string) => symlink("/etc/passwd", path),
  ]) {
    const path = nextSocket();
    await mkdir(dirname(path), { mode: 0o700 });
    await put(path);
    await assert.rejects(listenForGuest({ socketPath: path, log: quiet }), code("STATE_INVALID"));
  }
});

test("a socket path that Linux can't take is refused", async () => {
  const path = join(folder, "x".repeat(100), "guest.sock");
  await assert.rejects(listenForGuest({ socketPath: path, log: quiet }), code("HOST_UNSUPPORTED"));
});

test("without a guest, waiting ends with the signal and asking is refused", async () => {
  const { link } = await lonelyLink();
  await assert.rejects(link.ready(AbortSignal.timeout(50)), code("GUEST_UNREACHABLE"));
  await assert.rejects(link.dial(execOpen, soon()), code("GUEST_UNREACHABLE"));
  await assert.rejects(link.terminals(soon()), code("GUEST_UNREACHABLE"));
  await link[Symbol.asyncDispose]();
  await link[Symbol.asyncDispose]();
});

test("closing the link ends whoever waits for its guest", async () => {
  const { link } = await lonelyLink();
  const waiting = assert.rejects(link.ready(soon()), code("GUEST_UNREACHABLE"));
  await link[Symbol.asyncDispose]();
  await waiting;
});

test("terminals survive a bridge process that is killed with SIGKILL", async () => {
  const path = nextSocket();
  const bridgeScript = fileURLToPath(new URL("./guest-bridge-process.ts", import.meta.url));
  const spawnBridge = (...args: string[]) =>
    spawn(process.execPath, ["--conditions=source", "--import", "tsx", bridgeScript, path, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
  const guest = spawn(process.execPath, [guestBundle(), "--socket", path, "--pty", nativePty], {
    stdio: "ignore",
  });
  const bridge = spawnBridge();
  let seen = "";
  bridge.stdout.on("data", (chunk: Buffer) => (seen += chunk.toString()));
  await until("line 100", () => seen.includes("line 100\r\n"));
  bridge.kill("SIGKILL");
  await once(bridge, "exit");
  const link = await listenForGuest({ socketPath: path, log: quiet });
  await link.ready(soon());
  const [terminal] = await link.terminals(soon());
  assert.ok(terminal !== undefined && terminal.exit === null);
  const resume = Buffer.byteLength(seen);
  using watcher = await Watcher.open(link, attaching(terminal.id, { from: { resume } }));
  await watcher.see("END");
  const whole = seen + watcher.text;
  assert.equal(whole, Array.from({ length: 400 }, (_, i) => `line ${String(i)}\r\n`).join("") + "END\r\n");
  await link[Symbol.asyncDispose]();
  await stop(guest);
});

test("a guest that starts before its bridge connects as soon as the bridge listens", async () => {
  const waits: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const path = nextSocket();
    const port = await freePort();
    const args = ["--socket", path, "--pty", nativePty, "--egress-port", String(port)];
    const guest = spawn(process.execPath, [guestBundle(), ...args], { stdio: "ignore" });
    // It listens there as soon as it found no bridge for the first time.
    await until("it has tried", () => answers(port));
    await sleep(400);
    const link = await listenForGuest({ socketPath: path, log: quiet });
    const began = performance.now();
    await link.ready(soon());
    waits.push(performance.now() - began);
    await link[Symbol.asyncDispose]();
    await stop(guest);
  }
  assert.ok(Math.max(...waits) < 1500, waits.join(", "));
});

test("a guest that is killed is reported lost, and its streams end", async () => {
  const lab: Lab = await startLab();
  const lost = new Promise<void>((resolve) => lab.link.onLost(resolve));
  const watcher = await Watcher.open(lab.link, creating());
  lab.guest.kill("SIGKILL");
  await lost;
  await watcher.until("end of the stream", () => watcher.closed !== undefined);
  assert.equal(watcher.exit, undefined);
  await assert.rejects(lab.link.health(soon()), code("GUEST_UNREACHABLE"));
  await lab[Symbol.asyncDispose]();
});

/** Whether somebody listens on a port. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
