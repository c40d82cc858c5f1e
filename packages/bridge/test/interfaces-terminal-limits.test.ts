import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { duplexPair } from "node:stream";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  decodeOutput,
  DEFAULT_TERMINAL_DOOR,
  DoorwardError,
  TERMINAL_PROTOCOL,
  TerminalServerMessage,
  toDoorwardError,
} from "@doorward/contracts";
import { DOOR_REGISTRY, type Door } from "@doorward/doors";
import { encodeFrame, encodeMessage, FRAME, type StreamOpen } from "@doorward/guest";
import { WebSocket, WebSocketServer } from "ws";

/** A guest that says whatever a test has it say: the far side of the door, in its protocol. */
const guest = {
  running: [] as string[],
  offset: 0,
  output: Buffer.alloc(0),
  opened: [] as StreamOpen[],
};
const limits = { maxTerminals: 2, scrollbackBytes: 4096 };

let door: Door;
let server: Server;
let url: string;
const clients = new Set<Client>();

before(async () => {
  const [entry] = DOOR_REGISTRY;
  assert.ok(entry !== undefined);
  door = await entry.load();
  server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, request) => void serve(socket, request.url ?? ""));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `ws://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
afterEach(async () => {
  for (const client of clients) await client.close();
  clients.clear();
  Object.assign(guest, { running: [], offset: 0, output: Buffer.alloc(0), opened: [] });
});

let sessions = 0;
/** How many of them have ended. */
let over = 0;

async function serve(socket: WebSocket, path: string): Promise<void> {
  const controller = new AbortController();
  socket.on("error", () => undefined);
  socket.once("close", () => controller.abort(new DoorwardError({ code: "ABORTED", message: "closed" })));
  sessions += 1;
  const served = door.open(
    {
      id: `s_${String(sessions).padStart(16, "0")}`,
      protocol: socket.protocol,
      machine: { id: `m_${path.slice(1).padEnd(16, "0")}`, name: "lab" },
      subject: "operator:test",
      grantId: "g_aaaaaaaaaaaaaaaa",
      kind: "operator",
      operations: new Set(["terminal.attach", "terminal.observe", "terminal.input"]),
      spec: { ...DEFAULT_TERMINAL_DOOR, attach: { ...DEFAULT_TERMINAL_DOOR.attach, ...limits } },
      query: "",
      announced: null,
      bytes: { take: () => true, give: () => undefined },
      agentTool: null,
      reach: { workdir: "/", folders: [], narrowed: false },
      capabilities: new Set(),
      tools: null,
      signal: controller.signal,
      host: {
        check: () => undefined,
        dial: (open) => Promise.resolve(lie(open)),
        runningTerminals: () => Promise.resolve(guest.running),
        record: () => Promise.resolve(),
        begin: () => assert.fail("nothing begins here"),
        approve: () => Promise.resolve(),
        ask: () => assert.fail("no questions here"),
        hostAction: () => Promise.reject(new Error("no host actions here")),
        requestEgress: () => Promise.reject(new Error("no way out here")),
        transcript: () => Promise.reject(new Error("no transcripts here")),
        onNotice: () => ({ [Symbol.dispose]: () => undefined }),
      },
    },
    socket,
  );
  await served.catch((error: unknown) => {
    const { entry, code } = toDoorwardError(error);
    socket.close(entry.close, code);
  });
  over += 1;
}

function lie(open: StreamOpen) {
  const [ours, theirs] = duplexPair();
  guest.opened.push(open);
  assert.equal(open.kind, "terminal");
  const { terminal } = open;
  const size = { cols: 80, rows: 24 };
  theirs.write(
    encodeMessage(FRAME.started, {
      terminal,
      role: "controller",
      controller: null,
      offset: guest.offset,
      ...size,
    }),
  );
  for (let at = 0; at < guest.output.length; at += 16_384)
    theirs.write(encodeFrame(FRAME.output, guest.output.subarray(at, at + 16_384)));
  theirs.resume();
  theirs.on("error", () => undefined);
  return ours;
}

class Client {
  readonly socket: WebSocket;
  readonly messages: TerminalServerMessage[] = [];
  first: number | undefined;
  bytes = 0;
  closed: string | undefined;
  /** How many sessions have ended once this one has. */
  #over = 0;

  constructor(machine: string, hello: object) {
    clients.add(this);
    this.socket = new WebSocket(`${url}/${machine}`, TERMINAL_PROTOCOL);
    this.socket.on("error", () => undefined);
    this.socket.on("close", (code: number, reason: Buffer) => (this.closed = `${code} ${reason.toString()}`));
    this.socket.once("open", () =>
      this.socket.send(JSON.stringify({ type: "hello", mode: "attach", ...hello })),
    );
    this.socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (!isBinary) return void this.messages.push(TerminalServerMessage.parse(JSON.parse(data.toString())));
      const { offset, bytes } = decodeOutput(data);
      this.first ??= offset;
      this.bytes += bytes.length;
    });
  }

  async outcome(): Promise<string> {
    await until(() => this.closed !== undefined || this.ready !== undefined);
    return this.closed ?? "ready";
  }

  get ready() {
    return this.messages.find((message) => message.type === "ready");
  }

  async close(): Promise<void> {
    if (this.closed === undefined) this.#over = over + 1;
    this.socket.close();
    // The door notices the end of a socket after its client.
    await until(() => this.closed !== undefined && over >= this.#over);
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; !holds() && round < 24_000; round += 1) await sleep(5);
  assert.ok(holds(), "never happened");
}

const fresh = { terminal: { new: {} } };

test("a guest that denies having terminals gets no more of them watched than the profile allows", async () => {
  const first = new Client("liar", fresh);
  assert.equal(await first.outcome(), "ready");
  assert.equal(await new Client("liar", fresh).outcome(), "ready");
  assert.equal(await new Client("liar", fresh).outcome(), "4429 TERMINAL_LIMIT");
  assert.equal(guest.opened.length, 2, "the guest was not even asked");
});

test("a terminal that the guest called ended is not served again while others have its place", async () => {
  const first = new Client("ghost", fresh);
  await first.outcome();
  const id = first.ready?.type === "ready" ? first.ready.terminal : "";
  await new Client("ghost", fresh).outcome();
  await first.close();
  assert.equal(await new Client("ghost", fresh).outcome(), "ready");
  assert.equal(await new Client("ghost", { terminal: { id } }).outcome(), "4429 TERMINAL_LIMIT");
});

test("a detached terminal that runs keeps its place, and another machine has its own", async () => {
  for (let round = 0; round < 2; round += 1) {
    const client = new Client("busy", fresh);
    await client.outcome();
    if (client.ready?.type === "ready") guest.running.push(client.ready.terminal);
    await client.close();
  }
  assert.equal(await new Client("busy", fresh).outcome(), "4429 TERMINAL_LIMIT");
  assert.equal(await new Client("idle", fresh).outcome(), "ready");
});

test("terminals that could not be opened, or have ended, leave their place", async () => {
  for (let round = 0; round < 4; round += 1) {
    const client = new Client("brief", fresh);
    await client.outcome();
    await client.close();
  }
  assert.equal(guest.opened.length, 4);
});

test("a guest that sends more scrollback than the profile keeps has the rest held back by the bridge", async () => {
  guest.output = Buffer.alloc(100_000, "x");
  const first = new Client("chatty", fresh);
  await until(() => first.bytes === 100_000);
  const id = first.ready?.type === "ready" ? first.ready.terminal : "";
  const second = new Client("chatty", { terminal: { id }, resume: 0 });
  await until(() => second.bytes > 0);
  assert.equal(second.first, 100_000 - limits.scrollbackBytes);
  assert.equal(second.bytes, limits.scrollbackBytes);
  assert.deepEqual(
    second.messages.filter(({ type }) => type === "gap"),
    [{ type: "gap", from: 0, to: 100_000 - limits.scrollbackBytes }],
  );
});

test("a viewer can't ask the guest for more scrollback than the profile keeps", async () => {
  const first = new Client("greedy", fresh);
  await first.outcome();
  const id = first.ready?.type === "ready" ? first.ready.terminal : "";
  await new Client("greedy", { terminal: { id }, scrollback: 1_000_000 }).outcome();
  const asked = guest.opened.at(-1);
  assert.ok(asked?.kind === "terminal" && asked.action === "attach");
  assert.deepEqual(asked.from, { scrollback: limits.scrollbackBytes });
});
