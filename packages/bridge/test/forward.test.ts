import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, connect as connectTcp, type AddressInfo, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@doorward/client";
import { DoorwardError, FORWARD_PROTOCOL } from "@doorward/contracts";
import { WebSocket } from "ws";
import { freePort } from "../../../test/support/free-port.ts";
import { openLab, type Lab } from "../../../test/support/lab.ts";
import { doorward } from "../../../test/support/shared-image.ts";

const policy = `grants:
  - to: "agent:test:*"
    doors: [terminal]
    operations: [terminal.observe, terminal.exec, terminal.agent-exec, terminal.forward]
    for: 8h
`;
/** What runs in the machine: greets, echoes upgrades, sends much, and echoes raw bytes on the next port. */
const SERVER = `
const http = require("http"), net = require("net");
http.createServer((q, r) => {
  if (q.url !== "/big") return r.end("hello from " + q.headers.host);
  let left = 1600; const chunk = Buffer.alloc(65536, 7);
  const more = () => { while (left > 0) { left--; if (!r.write(chunk)) return r.once("drain", more); } r.end(); };
  more();
}).on("upgrade", (q, s) => {
  s.on("error", () => {}); s.write("HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n");
  s.pipe(s);
}).listen(3000, "127.0.0.1");
net.createServer({ allowHalfOpen: true }, (s) => { s.on("error", () => {}); s.pipe(s); }).listen(3001, "127.0.0.1", 511, () => console.log("up"));
net.createServer((s) => { s.on("error", () => {}); s.write("half"); setTimeout(() => s.resetAndDestroy(), 50); }).listen(3002, "127.0.0.1");
setInterval(() => {}, 1000);
`;

let lab: Lab;
let machine: string;
let http: number;
let echo: number;
let cutting: number;
let forwarding: ChildProcess;

before(async () => {
  lab = await openLab({ policy });
  machine = await lab.up(lab.repo("shop"));
  await lab.sh(
    machine,
    `cat > /tmp/server.js; (node /tmp/server.js > /tmp/up 2>&1 &) ; until grep -q up /tmp/up; do sleep 0.1; done`,
    SERVER,
  );
  [http, echo, cutting] = [await freePort(), await freePort(), await freePort()];
  const ports = [`${String(http)}:3000`, `${String(echo)}:3001`, `${String(cutting)}:3002`];
  forwarding = spawn(process.execPath, [doorward, "forward", machine, ...ports], {
    env: lab.env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  forwarding.stdout?.on("data", (part: Buffer) => (said += part.toString()));
  await lab.until("forwarded", () => said.includes("is port 3002"));
});
after(async () => {
  forwarding.kill("SIGINT");
  await lab[Symbol.asyncDispose]();
});

const withCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof DoorwardError && error.code === code;

async function local(port: number, host = "127.0.0.1"): Promise<Socket> {
  const socket = connectTcp({ port, host, allowHalfOpen: true });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

async function text(socket: Socket): Promise<string> {
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  await once(socket, "end");
  return Buffer.concat(parts).toString();
}

test("an HTTP server of the machine answers on the host's loopback, IPv6 too", async () => {
  for (const host of ["127.0.0.1", "[::1]"]) {
    const answer = await fetch(`http://${host}:${String(http)}/`);
    assert.equal(await answer.text(), `hello from ${host}:${String(http)}`);
  }
});

test("an upgraded connection carries bytes both ways", async () => {
  const socket = await local(http);
  socket.write(`GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`);
  assert.match(String((await once(socket, "data"))[0]), /101 Switching/);
  socket.write("ping");
  assert.equal(String((await once(socket, "data"))[0]), "ping");
  socket.destroy();
});

test("a hundred megabytes arrive whole", async () => {
  const answer = await fetch(`http://127.0.0.1:${String(http)}/big`);
  const hash = createHash("sha256");
  let bytes = 0;
  const began = performance.now();
  for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) {
    hash.update(part);
    bytes += part.length;
  }
  const seconds = (performance.now() - began) / 1000;
  assert.equal(bytes, 1600 * 65_536);
  assert.equal(hash.digest("hex"), createHash("sha256").update(Buffer.alloc(bytes, 7)).digest("hex"));
  console.log(`# ${(bytes / 1_048_576 / seconds).toFixed(0)} MiB/s`);
});

test("two hundred connections at once are all served, each half-closed in order", async () => {
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, at) => {
      const socket = await local(echo);
      socket.end(`hello ${String(at)}`);
      return await text(socket);
    }),
  );
  assert.deepEqual(
    answers,
    answers.map((_, at) => `hello ${String(at)}`),
  );
});

test("a connection that the program cuts is cut here", async () => {
  const socket = await local(cutting);
  const error = new Promise<NodeJS.ErrnoException>((resolve) => socket.once("error", resolve));
  socket.resume();
  assert.equal((await error).code, "ECONNRESET");
});

test("a port without a program is refused with PORT_CLOSED, and says so on the command line", async () => {
  await using client = lab.client();
  await assert.rejects(client.forward(machine, 4999), withCode("PORT_CLOSED"));
  const port = await freePort();
  const child = spawn(process.execPath, [doorward, "forward", machine, `${String(port)}:4999`], {
    env: lab.env,
  });
  let said = "";
  child.stderr.on("data", (part: Buffer) => (said += part.toString()));
  await once(child.stdout, "data");
  const socket = connectTcp(port, "127.0.0.1").on("error", () => undefined);
  await new Promise((resolve) => socket.once("close", resolve));
  await lab.until("told", () => /no program listens there/.test(said));
  assert.match(said, /No program of shop listens on port 4999 yet/);
  child.kill("SIGINT");
  const [code] = (await once(child, "exit")) as [number | null];
  assert.ok(code === 0 || code === 130, String(code));
});

test("the record of each connection names its port and how it ended", async () => {
  const found = async (line: RegExp): Promise<boolean> =>
    (await lab.records("forward", 500)).some(({ summary }) => line.test(summary));
  for (const line of [
    /^operator:\S+ was connected to port 3001 of shop for \S+$/,
    /^operator:\S+ was connected to port 3002 of shop for \S+, cut \(GUEST_UNREACHABLE\)$/,
    /^operator:\S+ did not reach port 4999 of shop \(PORT_CLOSED\)$/,
  ])
    await lab.until(String(line), () => found(line));
});

test("a local port that is taken is refused and a free one is named", async () => {
  const squatter = createServer().listen(0, "127.0.0.1");
  await once(squatter, "listening");
  const { port } = squatter.address() as AddressInfo;
  const ran = await lab.run(["forward", machine, "3000", "--local", String(port)]);
  assert.equal(ran.code, 5);
  const free = /"(\d+)" is free/.exec(ran.stderr)?.[1];
  assert.match(ran.stderr, new RegExp(`forward shop 3000 --local ${String(free)}`));
  squatter.close();
});

test("no other address of this host is listened on, and none can be asked for", async () => {
  for (const address of ["0.0.0.0", "::", "10.0.0.1", "example.com"]) {
    const ran = await lab.run(["forward", machine, "3000", "--bind", address]);
    assert.equal(ran.code, 2, ran.stderr);
  }
  for (const port of ["0", "65536", "http", "10.0.0.1:80", "3000:db.internal"]) {
    assert.equal((await lab.run(["forward", machine, port])).code, 2, port);
  }
});

/** A hostile client of the door: what it is answered, and the code that it is closed with. */
async function hostile(messages: readonly (object | Buffer)[]): Promise<{ code: string; close: number }> {
  const path = `ws+unix://${lab.socket}:/v1/machines/${machine}/doors/forward`;
  const socket = new WebSocket(path, [FORWARD_PROTOCOL], { headers: { host: "localhost" } });
  let code = "";
  socket.on("message", (data: Buffer, binary: boolean) => {
    if (binary) return;
    const message = JSON.parse(data.toString()) as { type: string; code?: string };
    code = message.code ?? code;
  });
  await once(socket, "open");
  for (const message of messages) socket.send(Buffer.isBuffer(message) ? message : JSON.stringify(message));
  const [close] = (await once(socket, "close")) as [number];
  return { code, close };
}

test("a client can name no host, no path and no second port", async () => {
  for (const more of [{ host: "10.0.0.1" }, { address: "169.254.169.254" }, { path: "/run/podman.sock" }]) {
    assert.equal((await hostile([{ type: "dial", port: 3000, ...more }])).code, "INPUT_INVALID");
  }
  for (const port of [0, 65_536, "3000", "10.0.0.1:80", null, 3000.5]) {
    assert.equal((await hostile([{ type: "dial", port }])).code, "INPUT_INVALID");
  }
  const dial = { type: "dial", port: 3001 };
  assert.equal((await hostile([dial, dial])).code, "PROTOCOL_ERROR");
  assert.equal((await hostile([{ type: "end" }])).code, "PROTOCOL_ERROR");
  assert.equal((await hostile([Buffer.from("GET / HTTP/1.1\r\n")])).code, "PROTOCOL_ERROR");
  assert.equal((await hostile([dial, { type: "end" }, Buffer.from("more")])).close !== 1000, true);
});

test("a grant without terminal.forward is refused", async () => {
  const { token } = await lab.grant(machine, ["terminal.exec", "terminal.agent-exec", "terminal.observe"]);
  await using client = connect({ url: `http://127.0.0.1:${String(await lab.tcpPort())}`, token });
  await assert.rejects(client.forward(machine, 3000), withCode("OPERATION_NOT_GRANTED"));
});

test("a grant with terminal.forward alone reaches the port, and a revoke cuts what is open", async () => {
  const { id, token } = await lab.grant(machine, ["terminal.forward"]);
  await using client = connect({ url: `http://127.0.0.1:${String(await lab.tcpPort())}`, token });
  const stream = await client.forward(machine, 3001);
  stream.write("live");
  assert.equal(String((await once(stream, "data"))[0]), "live");
  await assert.rejects(client.exec(machine, ["true"]), withCode("OPERATION_NOT_GRANTED"));
  const failed = new Promise<unknown>((resolve) => stream.once("error", resolve));
  stream.resume();
  await lab.run(["grant", "revoke", id]);
  assert.ok(withCode("GRANT_REVOKED")(await failed));
  await assert.rejects(client.forward(machine, 3001), DoorwardError);
});

test("a grant that is narrower than the machine's repos can't hold terminal.forward", async () => {
  await using operator = lab.client();
  const path = `${lab.sources}/shop/inner`;
  const body = {
    machine,
    subject: "agent:test:1",
    operations: ["terminal.forward"],
    paths: [path],
    for: "1h",
  };
  await assert.rejects(
    operator.call("grants.create", { body: body as never }),
    withCode("GRANT_UNENFORCEABLE"),
  );
});

test("a grant that expires cuts what is open", async () => {
  const url = `http://127.0.0.1:${String(await lab.tcpPort())}`;
  for (;;) {
    const { token } = await lab.grant(machine, ["terminal.forward"], "8s");
    await using client = connect({ url, token });
    const stream = await client.forward(machine, 3001).catch((error: unknown) => {
      // On a host that stands still its time is over before anything is open.
      assert.ok(withCode("GRANT_EXPIRED")(error));
    });
    if (stream === undefined) continue;
    const failed = new Promise<unknown>((resolve) => stream.once("error", resolve));
    stream.resume();
    assert.ok(withCode("GRANT_EXPIRED")(await failed));
    return;
  }
});

test("each connection leaves a record of its start and of its end", async () => {
  const before = (await lab.records("session-close")).length;
  const socket = await local(echo);
  socket.end("x");
  await text(socket);
  await lab.until(
    "recorded",
    async () => (await lab.records("session-close")).length > before || before === 200,
  );
  assert.ok((await lab.records("session-open")).length > 0);
});

test("a killed bridge cuts connections with an error, and new ones pass when it is back", async () => {
  const socket = await local(echo);
  socket.write("x");
  await once(socket, "data");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  await lab.killBridge();
  await closed;
  await lab.run(["ls"]);
  await lab.until("served again", async () => {
    // What listens may refuse before the connection is seen here.
    const again = await local(echo).catch(() => undefined);
    if (again === undefined) return false;
    again.end("back");
    const answer = await Promise.race([text(again).catch(() => ""), delay(10_000).then(() => "")]);
    again.destroy();
    return answer === "back";
  });
});
