import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Duplex } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import { FRAME, StreamOpen, dialPort, encodeFrame, encodeMessage } from "@doorward/guest";
import { listenForGuest } from "../src/machines/guest/index.ts";
import { freePort } from "../../../test/support/free-port.ts";
import { quiet, soon, startLab, stop, until, type Lab } from "./guest-harness.ts";

let lab: Lab;
before(async () => {
  lab = await startLab();
});
after(async () => {
  await lab[Symbol.asyncDispose]();
});

const withCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof DoorwardError && error.code === code;

/** A program of the machine that connects to the way out; with half-close, as real ones have it. It may be refused at once. */
async function program(port = lab.egressPort): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
  return socket;
}

function echo(stream: Duplex): void {
  stream.on("error", () => undefined);
  stream.pipe(stream);
}

async function textOf(socket: Duplex): Promise<string> {
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part)).resume();
  await once(socket, "end");
  return Buffer.concat(parts).toString();
}

async function failureOf(socket: Socket, ms = 30_000): Promise<string> {
  if (socket.errored !== null) return "code" in socket.errored ? String(socket.errored.code) : "";
  socket.resume();
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the connection stalls")), ms);
    let error = "closed";
    socket.on("error", (cause: NodeJS.ErrnoException) => (error = cause.code ?? cause.message));
    socket.once("end", () => socket.end());
    socket.once("close", () => {
      clearTimeout(timer);
      resolve(error);
    });
  });
}

/** Whether a connection out passes, where what is at its end echoes. */
async function echoes(text: string): Promise<boolean> {
  const inside = await program();
  const parts: Buffer[] = [];
  inside.on("data", (part: Buffer) => parts.push(part)).end(text);
  await failureOf(inside);
  return Buffer.concat(parts).toString() === text;
}

/** The connection that the bridge is handed next. */
function nextStream(): { readonly stream: Promise<Duplex>; readonly listening: Disposable } {
  let listening: Disposable = { [Symbol.dispose]: () => undefined };
  const stream = new Promise<Duplex>((resolve) => {
    listening = lab.link.onEgress((arrived) => {
      arrived.on("error", () => undefined);
      resolve(arrived);
    });
  });
  return { stream, listening };
}

test("bytes go out and come back, and either direction ends without the other", async () => {
  const { stream, listening } = nextStream();
  using _listening = listening;
  const inside = await program();
  inside.end("question");
  const outside = await stream;
  assert.equal(await textOf(outside), "question");
  outside.write("an answer ");
  await sleep(20);
  outside.end("in two parts");
  assert.equal(await textOf(inside), "an answer in two parts");
});

test("a direction that the far side ended lets the program go on writing", async () => {
  const { stream, listening } = nextStream();
  using _listening = listening;
  const inside = await program();
  const outside = await stream;
  outside.end("bye");
  assert.equal(await textOf(inside), "bye");
  inside.end("still here");
  assert.equal(await textOf(outside), "still here");
});

test("a connection is refused while nobody serves the way out", async () => {
  const inside = await program();
  inside.write("GET http://example.com/ HTTP/1.1\r\n\r\n");
  assert.match(await failureOf(inside), /closed|ECONNRESET|EPIPE/);
});

test("two hundred connections at once all pass", async () => {
  using _listening = lab.link.onEgress(echo);
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, at) => {
      const inside = await program();
      inside.end(`hello ${String(at)}`);
      return await textOf(inside);
    }),
  );
  assert.deepEqual(
    answers,
    answers.map((_, at) => `hello ${String(at)}`),
  );
});

test("the connection after the five hundred and twelfth is refused, the others live on, and a free place is given away", async () => {
  using _listening = lab.link.onEgress(echo);
  const open: Socket[] = [];
  for (let at = 0; at < 512; at += 1) {
    const inside = await program();
    inside.write("a");
    await once(inside, "data");
    open.push(inside);
  }
  const late = await program();
  late.write("b");
  assert.match(await failureOf(late), /closed|ECONNRESET|EPIPE/);
  open[0]?.write("still");
  assert.equal(String((await once(open[0] as Socket, "data"))[0]), "still");
  open.pop()?.destroy();
  await until("the place is free", () => echoes("c"));
  for (const socket of open) socket.destroy();
  await until("a place is free", () => echoes("d"));
});

test("terminals and commands work while the way out is flooded", async () => {
  using _listening = lab.link.onEgress((stream) => void stream.destroy());
  const until = performance.now() + 600;
  const flood = Array.from({ length: 4 }, async () => {
    while (performance.now() < until) {
      const socket = connect({ port: lab.egressPort, host: "127.0.0.1" });
      socket.on("error", () => undefined);
      await new Promise((resolve) => socket.once("close", resolve));
    }
  });
  const health = await lab.link.health(soon());
  assert.ok(health.uptimeSeconds > 0);
  await Promise.all(flood);
});

test("a far side that does not read holds the program back", async () => {
  const { stream, listening } = nextStream();
  using _listening = listening;
  const inside = await program();
  const outside = await stream;
  const chunk = Buffer.alloc(65_536);
  let written = 0;
  while (written < 64 * 1_048_576 && inside.writableLength === 0) {
    inside.write(chunk);
    written += chunk.length;
    await sleep(1);
  }
  assert.ok(written < 32 * 1_048_576, `${String(written)} bytes went nowhere`);
  let read = 0;
  outside.on("data", (part: Buffer) => (read += part.length)).resume();
  inside.end();
  await once(outside, "end");
  assert.equal(read, written);
  outside.end();
});

test("a connection that the bridge cuts ends with an error in the machine", async () => {
  const { stream, listening } = nextStream();
  using _listening = listening;
  const inside = await program();
  inside.write("x");
  (await stream).destroy();
  assert.match(await failureOf(inside), /ECONNRESET|EPIPE/);
});

test("a program that is killed ends the bridge's stream", async () => {
  const { stream, listening } = nextStream();
  using _listening = listening;
  const inside = await program();
  const outside = await stream;
  const closed = new Promise((resolve) => outside.once("close", resolve));
  outside.resume();
  inside.resetAndDestroy();
  await closed;
  assert.ok(outside.errored);
});

test("while the bridge is away connections end at once, and they pass again when it is back", async () => {
  await lab.link[Symbol.asyncDispose]();
  const away = await program();
  away.write("x");
  assert.match(await failureOf(away), /closed|ECONNRESET|EPIPE/);
  lab.link = await listenForGuest({ socketPath: lab.socketPath, log: quiet });
  await lab.link.ready(soon());
  using _listening = lab.link.onEgress(echo);
  const back = await program();
  back.end("again");
  assert.equal(await textOf(back), "again");
});

test("a bridge that ends cuts what is open with an error", async () => {
  const { stream, listening } = nextStream();
  using _listening = listening;
  const inside = await program();
  await stream;
  await lab.restartBridge();
  assert.match(await failureOf(inside), /ECONNRESET|EPIPE/);
});

test("a program that greets the bridge's socket itself gets what the port gives, and a wrong hello nothing", async () => {
  using _listening = lab.link.onEgress(echo);
  const own = connect({ path: lab.socketPath, allowHalfOpen: true });
  own.write(Buffer.concat([encodeMessage(FRAME.hello, { connection: "egress" }), Buffer.from("raw")]));
  own.end();
  assert.equal(await textOf(own), "raw");
  const wider = connect(lab.socketPath);
  wider.write(encodeMessage(FRAME.hello, { connection: "egress", host: "db.internal", rule: "any" }));
  assert.equal(await failureOf(wider), "closed");
});

test("a port that is taken is listened on as soon as it is free", async () => {
  const port = await freePort();
  const squatter = createServer().listen(port, "127.0.0.1");
  await once(squatter, "listening");
  const other = await startLab(port);
  try {
    assert.ok((await other.link.health(soon())).uptimeSeconds > 0);
    await new Promise((resolve) => squatter.close(resolve));
    using _listening = other.link.onEgress(echo);
    for (let round = 0; ; round += 1) {
      const inside = await program(port);
      if (inside.destroyed && round < 1200) {
        await sleep(100);
        continue;
      }
      inside.end("free");
      assert.equal(await textOf(inside), "free");
      break;
    }
  } finally {
    await other[Symbol.asyncDispose]();
  }
});

test("a port that the bridge can't serve by itself stays the guest's", async () => {
  await lab.link.takeEgressPort(process.pid);
  await lab.link.takeEgressPort(2 ** 30);
  using _serving = lab.link.onEgress(echo);
  const socket = await program();
  socket.end("through the guest");
  assert.equal(await textOf(socket), "through the guest");
});

test("a guest that is killed ends its connections", async () => {
  const other = await startLab();
  try {
    const arrived = new Promise<Duplex>((resolve) => other.link.onEgress(resolve));
    const inside = await program(other.egressPort);
    const outside = await arrived;
    outside.on("error", () => undefined).resume();
    const closed = new Promise((resolve) => outside.once("close", resolve));
    await Promise.all([failureOf(inside), closed, stop(other.guest)]);
  } finally {
    await other[Symbol.asyncDispose]();
  }
});

test("a port of the machine's loopback is dialled, IPv6 too, with half-close", async () => {
  for (const host of ["127.0.0.1", "::1"]) {
    const server = createServer({ allowHalfOpen: true }, echo).listen(0, host);
    await once(server, "listening");
    try {
      const stream = await dialPort(lab.link, (server.address() as AddressInfo).port, soon());
      stream.end("over loopback");
      assert.equal(await textOf(stream), "over loopback");
    } finally {
      server.close();
    }
  }
});

test("what a server says first arrives whole", async () => {
  const server = createServer((socket) => socket.end("220 ready\r\n")).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const stream = await dialPort(lab.link, (server.address() as AddressInfo).port, soon());
    assert.equal(await textOf(stream), "220 ready\r\n");
    stream.end();
  } finally {
    server.close();
  }
});

test("a port without a program is refused with PORT_CLOSED", async () => {
  await assert.rejects(dialPort(lab.link, await freePort(), soon()), withCode("PORT_CLOSED"));
});

test("no stream can name another host than the machine's loopback", () => {
  for (const more of [{ host: "10.0.0.1" }, { address: "169.254.169.254" }, { path: "/run/x.sock" }]) {
    assert.equal(StreamOpen.safeParse({ kind: "dial", port: 80, ...more }).success, false);
  }
  for (const port of [0, -1, 65_536, 1.5, "80", "10.0.0.1:80", null]) {
    assert.equal(StreamOpen.safeParse({ kind: "dial", port }).success, false);
  }
});

test("a guest that speaks protocol 1 alone is not let in", async () => {
  const path = `${lab.folder}/old/guest.sock`;
  await using link = await listenForGuest({ socketPath: path, log: quiet });
  const control = connect(path);
  control.on("error", () => undefined).resume();
  const hello = { connection: "control", protocols: [1], instance: "0123456789", pid: 1, runtime: "v0" };
  control.write(encodeMessage(FRAME.hello, { ...hello, build: "0.1.0" }));
  await once(control, "close");
  await assert.rejects(link.ready(soon(50)), withCode("GUEST_UNREACHABLE"));
});

test("a guest that answers a dial with anything else is cut", async () => {
  for (const answer of [
    encodeFrame(FRAME.output, Buffer.from("x")),
    encodeMessage(FRAME.started, { address: "10.0.0.1" }),
    Buffer.from("HTTP/1.1 200 OK\r\n\r\n"),
  ]) {
    const server = createServer((socket) => socket.end(answer)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const dialer = {
      dial: async (): Promise<Duplex> => {
        const socket = connect(port, "127.0.0.1");
        await once(socket, "connect");
        return socket.pause();
      },
    };
    await assert.rejects(dialPort(dialer, 80, soon()), withCode("GUEST_PROTOCOL"));
    server.close();
  }
});
