import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DEFAULT_TERMINAL_DOOR,
  DenialError,
  DoorwardError,
  MAX_PIPE_MESSAGE_BYTES,
  toDoorwardError,
  type Operation,
  type TerminalDoorSpec,
} from "@doorward/contracts";
import { DOOR_REGISTRY, type CommandRecord, type Door, type DoorSession } from "@doorward/doors";
import { WebSocket, WebSocketServer } from "ws";
import { newId, startLab, type Lab } from "./guest-harness.ts";

interface Caller {
  readonly kind?: "operator" | "agent";
  readonly operations?: readonly Operation[];
  readonly spec?: TerminalDoorSpec;
}

let lab: Lab;
let door: Door;
let server: Server;
let port: number;
let caller: Caller = {};
let records: CommandRecord[] = [];
/** How the newest session's socket closed, as the bridge sees it. */
let closedAs: number | undefined;
/** Cuts the newest session, as the gateway does on revocation. */
let cut: (error: DoorwardError) => void;

before(async () => {
  lab = await startLab();
  const entry = DOOR_REGISTRY.find(({ id }) => id === "terminal");
  assert.ok(entry !== undefined);
  door = await entry.load();
  server = createServer();
  const maxPayload = MAX_PIPE_MESSAGE_BYTES;
  const sockets = new WebSocketServer({ server, maxPayload, perMessageDeflate: false });
  sockets.on("connection", (socket, request) => void serve(socket, request.url ?? ""));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await lab[Symbol.asyncDispose]();
});

/** The gateway's side of a session. */
async function serve(socket: WebSocket, url: string): Promise<void> {
  const {
    kind = "agent",
    operations = ["terminal.exec", "terminal.agent-exec"],
    spec = DEFAULT_TERMINAL_DOOR,
  } = caller;
  const own = records;
  const controller = new AbortController();
  cut = (error) => {
    socket.close(error.entry.close, error.code);
    controller.abort(error);
  };
  socket.on("error", () => undefined);
  closedAs = undefined;
  socket.once("close", (code) => (closedAs = code));
  socket.once("close", () => controller.abort(new DoorwardError({ code: "ABORTED", message: "closed" })));
  const session = {
    id: newId("s"),
    protocol: "pipe",
    query: url.slice(url.indexOf("?") + 1),
    machine: { id: "m_aaaaaaaaaaaa", name: "lab" },
    subject: `${kind}:test`,
    grantId: "g_aaaaaaaaaaaa",
    kind,
    operations: new Set(operations),
    spec,
    signal: controller.signal,
    host: {
      check: (operation: Operation) => {
        if (operations.includes(operation)) return;
        throw new DenialError({
          code: "OPERATION_NOT_GRANTED",
          rule: "grant.operations",
          message: `no "${operation}"`,
        });
      },
      dial: (open: never, signal: AbortSignal) => lab.link.dial(open, signal),
      begin: () => ({
        approved: () => undefined,
        record: (record: CommandRecord) => Promise.resolve(void own.push(record)),
        [Symbol.dispose]: () => undefined,
      }),
    },
  } as unknown as DoorSession;
  await door.open(session, socket).catch((error: unknown) => cut(toDoorwardError(error)));
}

/** A client that knows nothing but WebSocket. */
class Client implements Disposable {
  readonly socket: WebSocket;
  readonly lines: string[] = [];
  bytes = Buffer.alloc(0);
  total = 0;
  closed: string | undefined;

  constructor(query: string, as: Caller = {}) {
    caller = as;
    records = [];
    this.socket = new WebSocket(`ws://127.0.0.1:${String(port)}/pipe?${query}`);
    this.socket.on("error", () => undefined);
    this.socket.on("message", (data: Buffer, isBinary) => {
      this.total += data.length;
      if (isBinary) this.bytes = Buffer.concat([this.bytes, data]).subarray(0, 262_144);
      else this.lines.push(data.toString());
    });
    this.socket.on("close", (code, reason) => (this.closed = `${String(code)} ${reason.toString()}`));
  }

  async opened(): Promise<this> {
    await new Promise<void>((resolve) => this.socket.once("open", resolve));
    return this;
  }

  send(text: string | Buffer): void {
    this.socket.send(text);
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    for (let tries = 0; tries < 6000; tries += 1) {
      if (holds()) return;
      await sleep(5);
    }
    assert.fail(`never: ${what}; ${JSON.stringify([this.lines.slice(-3), this.closed])}`);
  }

  async end(): Promise<string> {
    await this.until("close", () => this.closed !== undefined);
    return this.closed ?? "";
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}

const run = (...argv: readonly string[]): string =>
  argv.map((arg) => `arg=${encodeURIComponent(arg)}`).join("&");

test("one text message is one line of stdin, and one line of stdout is one text message", async () => {
  using client = await new Client(run("cat")).opened();
  client.send(`{"id":1}`);
  client.send("");
  client.send("zwölf");
  await client.until("three lines", () => client.lines.length === 3);
  assert.deepEqual(client.lines, [`{"id":1}`, "", "zwölf"]);
  client.socket.close();
  await client.until("its record", () => records.length === 1);
  const [record] = records;
  assert.deepEqual([record?.outcome, record?.execution, record?.argv], ["cut", "agent", ["cat"]]);
  assert.deepEqual([record?.stdinBytes, record?.stdoutBytes], [17, 17]);
});

test("messages that come before the program runs are not lost", async () => {
  using client = new Client(run("sh", "-c", "sleep 0.2; cat"));
  client.socket.once("open", () => {
    for (let n = 0; n < 500; n += 1) client.send(String(n));
  });
  await client.until("all lines", () => client.lines.length === 500);
  assert.deepEqual(
    client.lines,
    Array.from({ length: 500 }, (_, n) => String(n)),
  );
});

test("a line of 12 MiB goes both ways whole", async () => {
  using client = await new Client(run("cat")).opened();
  const line = "x".repeat(12 * 1024 * 1024);
  client.send(line);
  await client.until("the line", () => client.lines.length === 1);
  assert.ok(client.lines[0] === line);
});

test("bytes go as they are with framing=bytes, 64 MiB both ways", async () => {
  using client = await new Client(`${run("cat")}&framing=bytes`).opened();
  const part = Buffer.alloc(262_144, 0x0a);
  part[0] = 0xff;
  for (let n = 0; n < 256; n += 1) client.send(part);
  await client.until("all bytes", () => client.total === 256 * part.length);
  assert.ok(client.bytes.subarray(0, part.length).equals(part));
  assert.deepEqual(client.lines, []);
});

test("arguments reach the program as they are, and no shell sees them", async () => {
  const wanted = ["a b", "c+d", "$HOME", "*", "", "é", "x=y&z", "--", "new\nline"];
  const printing = ["node", "-e", "console.log(JSON.stringify(process.argv.slice(1)))", "--", ...wanted];
  using client = new Client(`${run(...printing)}&cwd=%2Ftmp`);
  assert.equal(await client.end(), "1000 EXIT 0");
  assert.deepEqual(JSON.parse(client.lines[0] ?? ""), wanted);
  assert.equal(records[0]?.cwd, "/tmp");
});

test("the close says how the program ended and the last thing it complained about", async () => {
  using failing = new Client(run("sh", "-c", "echo first >&2; printf 'no such\\033 option' >&2; exit 3"));
  assert.equal(await failing.end(), "1000 EXIT 3: no such? option");
  assert.deepEqual([records[0]?.outcome, records[0]?.exitCode], ["exited", 3]);
  using killed = new Client(run("sh", "-c", "kill -9 $$"));
  assert.equal(await killed.end(), "1000 SIGKILL");
  using wordy = new Client(run("sh", "-c", "printf %0300d 7 | tr 0 é >&2; exit 1"));
  assert.ok(Buffer.byteLength((await wordy.end()).slice(5)) <= 123);
  using partial = new Client(run("printf", "a\\nb"));
  assert.equal(await partial.end(), "1000 EXIT 0");
  assert.deepEqual(partial.lines, ["a", "b"]);
});

test("queries that are not exactly understood are refused", async () => {
  const wrong = [
    "",
    "arg",
    "arg=%ff",
    "arg=%zz",
    "arg=a%00b",
    "arg=cat&shell=1",
    "arg=cat&cwd=relative",
    "arg=cat&cwd=/a&cwd=/b",
    "arg=cat&framing=words",
    "arg=cat&framing=lines&framing=bytes",
    "arg=cat&",
    Array.from({ length: 257 }, () => "arg=a").join("&"),
  ];
  for (const query of wrong) {
    using client = new Client(query);
    assert.match(await client.end(), /^4\d+ INPUT_INVALID$/, query);
    assert.deepEqual(records, []);
  }
});

test("frames of the other kind, and messages of two lines, end the pipe", async () => {
  using binary = await new Client(run("cat")).opened();
  binary.send(Buffer.from("x"));
  assert.match(await binary.end(), /PROTOCOL_ERROR/);
  using text = await new Client(`${run("cat")}&framing=bytes`).opened();
  text.send("x");
  assert.match(await text.end(), /PROTOCOL_ERROR/);
  using lines = await new Client(run("cat")).opened();
  lines.send("a\nb");
  assert.match(await lines.end(), /PROTOCOL_ERROR/);
  assert.deepEqual([lines.lines, records[0]?.stdinBytes], [[], 0]);
});

test("a program whose lines can't be carried harms only itself", async () => {
  using endless = new Client(run("sh", "-c", "tr '\\0' x < /dev/zero"));
  assert.match(await endless.end(), /INPUT_TOO_LARGE/);
  using latin = new Client(run("printf", "\\351\\n"));
  assert.match(await latin.end(), /PROTOCOL_ERROR/);
  using after = new Client(run("echo", "fine"));
  assert.equal(await after.end(), "1000 EXIT 0");
});

test("who may not run commands opens no pipe", async () => {
  using other = new Client(run("cat"), { operations: ["terminal.exec"] });
  assert.equal(await other.end(), "4403 OPERATION_NOT_GRANTED");
  const execution = { ...DEFAULT_TERMINAL_DOOR.execution, agent: false };
  using profile = new Client(run("cat"), { spec: { ...DEFAULT_TERMINAL_DOOR, execution } });
  assert.equal(await profile.end(), "4403 DOOR_NOT_OFFERED");
  const none = { ...DEFAULT_TERMINAL_DOOR.execution, maxConcurrent: 0 };
  using full = new Client(run("cat"), { spec: { ...DEFAULT_TERMINAL_DOOR, execution: none } });
  assert.equal(await full.end(), "4429 RATE_LIMITED");
  assert.deepEqual(records, []);
});

test("a program that does not exist is told, and recorded as not started", async () => {
  using client = new Client(run("no-such-program"));
  assert.match(await client.end(), /^4\d+ /);
  assert.equal(records[0]?.outcome, "not-started");
});

test("revocation ends the program and all that it started", async () => {
  const script = "sleep 4711 & echo $! $$; exec sleep 4712";
  using client = new Client(run("sh", "-c", script));
  await client.until("its pids", () => client.lines.length === 1);
  const pids = (client.lines[0] ?? "").split(" ").map(Number);
  cut(new DoorwardError({ code: "GRANT_REVOKED", message: "revoked" }));
  assert.equal(await client.end(), "4410 GRANT_REVOKED");
  await client.until("nothing of it runs", () => pids.every((pid) => !runs(pid)));
  await client.until("its record", () => records.length === 1);
  assert.equal(records[0]?.outcome, "cut");
});

test("a client that vanishes takes its program along, also while the program reads nothing", async () => {
  using client = new Client(run("sh", "-c", "echo $$; exec sleep 4713"));
  await client.until("its pid", () => client.lines.length === 1);
  const pid = Number(client.lines[0]);
  for (let n = 0; n < 8; n += 1) client.send("x".repeat(65_536));
  client.socket.terminate();
  await client.until("it ended", () => !runs(pid));
});

test("a program that exits while its stdin is full is told of, and the client's answer is read", async () => {
  using client = await new Client(run("sh", "-c", "sleep 1; exit 3")).opened();
  for (let n = 0; n < 80; n += 1) client.send("x".repeat(100_000));
  await client.until("the socket is closed", () => closedAs !== undefined);
  assert.equal(closedAs, 1000);
  assert.equal(await client.end(), "1000 EXIT 3");
});

test("a client that does not read holds the program back", async () => {
  const counting = `let n = 0; process.stdout.on("error", () => process.exit());
    const more = () => { while (process.stdout.write("y".repeat(65535) + "\\n")) n += 1;
      require("fs").writeFileSync(process.argv[1], String(process.stdout.bytesWritten ?? n)); process.stdout.once("drain", more); };
    more();`;
  const file = `/tmp/dw-pipe-${String(process.pid)}`;
  using client = await new Client(run("node", "-e", counting, file)).opened();
  client.socket.pause();
  const { readFileSync, rmSync } = await import("node:fs");
  const written = (): number => {
    try {
      return Number(readFileSync(file, "utf8"));
    } catch {
      return 0;
    }
  };
  await client.until("something was written", () => written() > 0);
  let before = -1;
  for (let same = 0; same < 3;) {
    await sleep(200);
    same = written() === before ? same + 1 : 0;
    before = written();
  }
  assert.ok(before < 64 * 1024 * 1024, `${String(before)} bytes went nowhere`);
  rmSync(file, { force: true });
});

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
