import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DoorwardError } from "@doorward/contracts";
import {
  FRAME,
  FrameDecoder,
  GuestCommand,
  GuestTerminal,
  encodeFrame,
  encodeMessage,
  runCommand,
  type ExecOpen,
  type GuestLink,
} from "@doorward/guest";
import fc from "fast-check";
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

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof DoorwardError && error.code === expected;

const controlHello = {
  connection: "control",
  protocols: [2],
  instance: "0123456789",
  pid: 1,
  runtime: "v0",
  build: "evil",
};

let folder: string;
let count = 0;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "dw-link-"));
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
});

function nextSocket(): string {
  count += 1;
  return join(folder, `m${String(count)}`, "guest.sock");
}

/** A link with nobody at the other end yet. */
async function lonelyLink(): Promise<{ link: GuestLink; path: string }> {
  const path = nextSocket();
  return { link: await listenForGuest({ socketPath: path, log: quiet }), path };
}

async function dialled(path: string): Promise<Socket> {
  const socket = connect(path);
  socket.on("error", () => undefined);
  socket.resume();
  await once(socket, "connect");
  return socket;
}

function closes(socket: Socket, ms = 60_000): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the socket stayed open")), ms);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** A guest that does what a test tells it; it answers each open with what `play` does on the new stream. */
async function evilGuest(path: string, play: (stream: Socket, nonce: string) => void): Promise<Socket> {
  const control = connect(path);
  control.on("error", () => undefined);
  control.write(encodeMessage(FRAME.hello, controlHello));
  const decoder = new FrameDecoder(
    new Map([[FRAME.control, { name: "c", min: 2, max: 1e7, streamed: false }]]),
  );
  control.on("data", (chunk: Buffer) => {
    decoder.push(chunk, (_, payload) => {
      const message = JSON.parse(payload.toString()) as { type: string; nonce: string };
      if (message.type !== "open") return;
      const stream = connect(path);
      stream.on("error", () => undefined);
      stream.write(encodeMessage(FRAME.hello, { connection: "stream", nonce: message.nonce }));
      play(stream, message.nonce);
    });
  });
  await once(control, "connect");
  return control;
}

const execOpen: ExecOpen = { kind: "exec", argv: ["true"], cwd: null, env: {}, stdin: false };

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

test("connections that say nothing, nonsense, too much, or a wrong nonce are cut", async () => {
  const { link, path } = await lonelyLink();
  const first = [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    encodeFrame(FRAME.output, Buffer.from("x")),
    encodeFrame(FRAME.hello, Buffer.alloc(5000, "x")),
    encodeMessage(FRAME.hello, { connection: "stream", nonce: "AAAAAAAAAAAAAAAAAAAAAA" }),
    encodeMessage(FRAME.hello, { connection: "root" }),
    encodeMessage(FRAME.hello, { ...controlHello, protocols: [99] }),
    Buffer.alloc(0),
  ];
  for (const bytes of first) {
    const socket = await dialled(path);
    if (bytes.length > 0) socket.write(bytes);
    await closes(socket);
  }
  await link[Symbol.asyncDispose]();
});

test("random bytes never get past the hello", async () => {
  const { link, path } = await lonelyLink();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 5, maxLength: 300 }), async (bytes) => {
      const socket = await dialled(path);
      socket.end(bytes);
      await closes(socket);
    }),
    { numRuns: 50 },
  );
  await assert.rejects(link.ready(AbortSignal.timeout(10)), code("GUEST_UNREACHABLE"));
  await link[Symbol.asyncDispose]();
});

test("many silent connections don't keep a guest out", async () => {
  const { link, path } = await lonelyLink();
  const silent = await Promise.all(Array.from({ length: 60 }, () => dialled(path)));
  await Promise.all(silent.map((socket) => closes(socket)));
  const control = await evilGuest(path, () => undefined);
  await link.ready(soon());
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("a flood of connections closes the socket for a moment, and streams in use go on", async () => {
  const lab = await startLab();
  using watcher = await Watcher.open(lab.link, creating());
  await watcher.see("$ ");
  for (let round = 0; round < 30; round++) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = connect(lab.socketPath);
        socket.on("error", () => undefined);
        socket.end(encodeMessage(FRAME.hello, { connection: "root" }));
        await closes(socket);
      }),
    );
  }
  watcher.type("echo still-$((1 + 1))\r");
  await watcher.see("still-2");
  await sleep(1200);
  assert.equal(
    (await runCommand(lab.link, { argv: ["echo", "served"] }, soon())).stdout.toString(),
    "served\n",
  );
  await lab[Symbol.asyncDispose]();
});

test("a second control connection is refused while the first answers", async () => {
  const lab = await startLab();
  const intruder = await dialled(lab.socketPath);
  intruder.write(encodeMessage(FRAME.hello, controlHello));
  await closes(intruder);
  assert.notEqual((await lab.link.ready(soon())).build, "evil");
  await lab.link.health(soon());
  await lab[Symbol.asyncDispose]();
});

test("a control connection that does not answer gives way to a new one", async () => {
  const { link, path } = await lonelyLink();
  const stuck = await evilGuest(path, () => undefined);
  await link.ready(soon());
  const lost = new Promise<void>((resolve) => link.onLost(resolve));
  const next = await dialled(path);
  next.write(encodeMessage(FRAME.hello, { ...controlHello, instance: "9876543210" }));
  await lost;
  await closes(stuck);
  await until("the new one", async () => (await link.ready(soon())).instance === "9876543210");
  next.destroy();
  await link[Symbol.asyncDispose]();
});

test("an answer that nobody asked for cuts the control connection", async () => {
  for (const bytes of [
    encodeMessage(FRAME.control, { what: "terminals", id: 1, terminals: [] }),
    encodeMessage(FRAME.control, { what: "unknown" }),
    encodeFrame(FRAME.output, Buffer.from("x")),
    Buffer.from([FRAME.control, 0xff, 0xff, 0xff, 0xff]),
  ]) {
    const { link, path } = await lonelyLink();
    const control = await evilGuest(path, () => undefined);
    await link.ready(soon());
    control.write(bytes);
    await closes(control);
    await link[Symbol.asyncDispose]();
  }
});

test("a guest that never opens the stream is given up, and its late connection is cut", async () => {
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, () => undefined);
  await link.ready(soon());
  const stop = AbortSignal.timeout(100);
  await assert.rejects(GuestCommand.start(link, execOpen, stop), code("TIMED_OUT"));
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("wrong frames on a stream end it with GUEST_PROTOCOL", async () => {
  const started = encodeMessage(FRAME.started, { pid: 1, stdinWindow: 1000 });
  const cases: [string, Buffer][] = [
    ["not an answer", encodeFrame(FRAME.stdout, Buffer.from("x"))],
    ["a wrong shape", encodeMessage(FRAME.started, { pid: "root" })],
    ["not JSON", encodeFrame(FRAME.started, Buffer.from("{{"))],
    ["too large", Buffer.from([FRAME.started, 0, 1, 0, 0])],
    ["another stream's frame", Buffer.concat([started, encodeMessage(FRAME.gap, { from: 0, to: 1 })])],
    ["a wrong exit", Buffer.concat([started, encodeMessage(FRAME.exit, { code: 700, signal: null })])],
    ["an unknown failure", encodeMessage(FRAME.failed, { code: "GRANT_REVOKED", message: "no" })],
  ];
  for (const [what, bytes] of cases) {
    const { link, path } = await lonelyLink();
    const control = await evilGuest(path, (stream) => stream.write(bytes));
    await link.ready(soon());
    await assert.rejects(runCommand(link, { argv: ["true"] }, soon()), code("GUEST_PROTOCOL"), what);
    control.destroy();
    await link[Symbol.asyncDispose]();
  }
});

test("a failure's text comes without control characters", async () => {
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, (stream) =>
    stream.write(encodeMessage(FRAME.failed, { code: "INTERNAL", message: "\u001b]0;x\u0007bad\nline" })),
  );
  await link.ready(soon());
  await assert.rejects(runCommand(link, { argv: ["true"] }, soon()), /^DoorwardError: \?\]0;x\?bad\?line$/);
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("a guest that credits stdin it was not sent is cut", async () => {
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, (stream) => {
    stream.write(encodeMessage(FRAME.started, { pid: 1, stdinWindow: 1000 }));
    stream.write(encodeFrame(FRAME.stdinCredit, Buffer.from([0xff, 0xff, 0xff, 0xff])));
  });
  await link.ready(soon());
  await assert.rejects(
    runCommand(link, { argv: ["cat"], stdin: Buffer.alloc(100) }, soon()),
    code("GUEST_PROTOCOL"),
  );
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("a guest that never reads its stream is cut before what waits for it grows", async () => {
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, (stream) => {
    stream.write(encodeMessage(FRAME.started, { pid: 1, stdinWindow: 0 }));
    stream.pause();
  });
  await link.ready(soon());
  const command = await GuestCommand.start(link, execOpen, soon());
  const closed = new Promise<Error | undefined>((resolve) => {
    command.listen({ stdout: () => 0, stderr: () => 0, credit: () => 0, exit: () => 0, closed: resolve });
  });
  for (let i = 0; i < 500_000; i++) command.signal("SIGCONT");
  assert.ok(code("GUEST_PROTOCOL")(await closed));
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("closing the link ends whoever waits for its guest", async () => {
  const { link } = await lonelyLink();
  const waiting = assert.rejects(link.ready(soon()), code("GUEST_UNREACHABLE"));
  await link[Symbol.asyncDispose]();
  await waiting;
});

test("a flood of messages on a stream ends it", async () => {
  const started = {
    terminal: "t_aaaaaaaaaaaa",
    role: "controller",
    controller: null,
    offset: 0,
    cols: 1,
    rows: 1,
  };
  const { link, path } = await lonelyLink();
  const control = await evilGuest(path, (stream) => {
    stream.write(encodeMessage(FRAME.started, started));
    const role = encodeMessage(FRAME.role, { role: "observer", controller: null });
    stream.write(Buffer.concat(Array.from({ length: 5000 }, () => role)));
  });
  await link.ready(soon());
  const watcher = new Watcher(
    await GuestTerminal.open(link, creating({ terminal: "t_aaaaaaaaaaaa" }), soon()),
  );
  await watcher.until("the cut", () => watcher.closed !== undefined);
  assert.ok(code("GUEST_PROTOCOL")(watcher.closed?.error));
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("random frames on a stream never crash the bridge", async () => {
  const { link, path } = await lonelyLink();
  let bytes = Buffer.alloc(0);
  const control = await evilGuest(path, (stream) => stream.end(bytes));
  await link.ready(soon());
  const type = fc.constantFrom(...Object.values(FRAME), 0, 255);
  const frame = fc.tuple(type, fc.uint8Array({ maxLength: 60 })).map(([t, p]) => encodeFrame(t, p));
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 6 }), fc.boolean(), async (frames, begin) => {
      const started = encodeMessage(FRAME.started, { pid: 1, stdinWindow: 1000 });
      bytes = Buffer.concat([...(begin ? [started] : []), ...frames]);
      await runCommand(link, { argv: ["true"] }, soon()).catch((error: unknown) => {
        assert.ok(
          error instanceof DoorwardError && /^(GUEST|INTERNAL|COMMAND|PATH|TERMINAL|INPUT)/.test(error.code),
        );
      });
    }),
    { numRuns: 100 },
  );
  control.destroy();
  await link[Symbol.asyncDispose]();
});

test("random bytes from the bridge never take the guest down", async () => {
  const lab = await startLab();
  using watcher = await Watcher.open(lab.link, creating());
  await watcher.see("$ ");
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
      const duplex = await lab.link.dial(creating({ argv: ["sleep", "0.1"] }), soon());
      duplex.on("error", () => undefined);
      duplex.end(bytes);
      duplex.resume();
    }),
    { numRuns: 20 },
  );
  watcher.type("echo alive-$((1 + 1))\r");
  await watcher.see("alive-2");
  await lab[Symbol.asyncDispose]();
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
  assert.ok(Math.min(...waits) < 1500, waits.join(", "));
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
