import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DEFAULT_TERMINAL_DOOR,
  DenialError,
  DoorwardError,
  EXEC_PROTOCOL,
  ExecServerMessage,
  TERMINAL_PROTOCOL,
  TerminalServerMessage,
  WIRE_KIND,
  decodeOutput,
  encodeBytes,
  toDoorwardError,
  type Operation,
  type TerminalDoorSpec,
} from "@doorward/contracts";
import {
  DOOR_REGISTRY,
  type Door,
  type DoorNotice,
  type DoorRecord,
  type DoorSession,
} from "@doorward/doors";
import fc from "fast-check";
import { WebSocket, WebSocketServer } from "ws";
import { OwnTime } from "../../../test/support/own-time.ts";
import { begunUnnoted } from "./begun-unnoted.ts";
import { newId, settled, soon, startLab, until, type Lab } from "./guest-harness.ts";

const ALL: Operation[] = [
  "terminal.attach",
  "terminal.observe",
  "terminal.input",
  "terminal.exec",
  "terminal.agent-exec",
];

/** What the gateway decided for the next connection. */
interface Caller {
  kind: "operator" | "agent";
  operations: Operation[];
  spec: TerminalDoorSpec;
  recordFails: boolean;
}

let lab: Lab;
let door: Door;
let server: Server;
let url: string;
let caller: Caller;
let records: (DoorRecord & { session: string })[] = [];
/** Lines of the transcript of the newest session that has one, and how many have ended. */
let recorded: string[] = [];
let recordings = 0;
/** Cuts the newest session, as the gateway does on revocation. */
let cut: (error: DoorwardError) => void;
let notify: (notice: DoorNotice) => void;

/** The default door, with room for all the terminals that these tests leave behind. */
const ROOMY: TerminalDoorSpec = {
  ...DEFAULT_TERMINAL_DOOR,
  attach: { ...DEFAULT_TERMINAL_DOOR.attach, agents: "control", maxTerminals: 256 },
};

const operator = (): Caller => ({
  kind: "operator",
  operations: [...ALL],
  spec: ROOMY,
  recordFails: false,
});

before(async () => {
  lab = await startLab();
  const [entry] = DOOR_REGISTRY;
  assert.ok(entry !== undefined);
  door = await entry.load();
  server = createServer();
  const sockets = new WebSocketServer({ server, maxPayload: 2_000_000, perMessageDeflate: false });
  sockets.on("connection", (socket) => void serve(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `ws://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await lab[Symbol.asyncDispose]();
});

/** The gateway's side of a session: a signal that is aborted at its end, and a close with the error's code. */
async function serve(socket: WebSocket): Promise<void> {
  const { kind, operations, spec, recordFails } = caller;
  const controller = new AbortController();
  const id = newId("s");
  const end = (error: DoorwardError): void => {
    socket.close(error.entry.close, error.code);
    controller.abort(error);
  };
  cut = end;
  socket.on("error", () => undefined);
  socket.once("close", () => controller.abort(new DoorwardError({ code: "ABORTED", message: "closed" })));
  const session: DoorSession = {
    id,
    protocol: socket.protocol,
    machine: { id: "m_aaaaaaaaaaaa", name: "lab" },
    subject: kind === "agent" ? "agent:codex:1" : "operator:test",
    grantId: "g_aaaaaaaaaaaa",
    kind,
    operations: new Set(operations),
    spec,
    query: "",
    announced: null,
    bytes: { take: () => true, give: () => undefined },
    agentTool: null,
    reach: { workdir: "/", folders: [], narrowed: false },
    capabilities: new Set(),
    tools: null,
    signal: controller.signal,
    host: {
      check: (operation) => {
        if (operations.includes(operation)) return;
        throw new DenialError({
          code: "OPERATION_NOT_GRANTED",
          rule: "grant.operations",
          message: `no "${operation}"`,
        });
      },
      dial: (open, signal) => lab.link.dial(open, signal),
      ask: () => assert.fail("no questions here"),
      hostAction: () => Promise.reject(new Error("no host actions here")),
      requestEgress: () => Promise.reject(new Error("no way out here")),
      runningTerminals: async (signal) =>
        (await lab.link.terminals(signal)).filter(({ exit }) => exit === null).map(({ id }) => id),
      record: (record) => {
        if (recordFails)
          return Promise.reject(new DoorwardError({ code: "EVIDENCE_UNWRITABLE", message: "disk full" }));
        records.push({ ...record, session: id });
        return Promise.resolve();
      },
      begin() {
        return begunUnnoted((record) => this.record(record));
      },
      transcript: () =>
        Promise.resolve({
          stopped: false,
          write: (line: string) => void recorded.push(line),
          [Symbol.asyncDispose]: () => Promise.resolve(void (recordings += 1)),
        }),
      approve: () => Promise.resolve(),
      onNotice: (listener) => {
        notify = listener;
        return { [Symbol.dispose]: () => undefined };
      },
    },
  };
  await door.open(session, socket).catch((error: unknown) => end(toDoorwardError(error)));
}

type Message = ReturnType<typeof TerminalServerMessage.parse> | ReturnType<typeof ExecServerMessage.parse>;

/** A client written from the protocol's page. */
class Client implements Disposable {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  output = Buffer.alloc(0);
  stderr = Buffer.alloc(0);
  offset = 0;
  total = 0;
  autoAck = true;
  keep = true;
  closed: { code: number; reason: string } | undefined;
  readonly #protocol: string;

  constructor(protocol: string, as: Partial<Caller> = {}) {
    caller = { ...operator(), ...as };
    this.#protocol = protocol;
    this.socket = new WebSocket(url, protocol);
    this.socket.on("error", () => undefined);
    this.socket.on(
      "close",
      (code: number, reason: Buffer) => (this.closed = { code, reason: reason.toString() }),
    );
    this.socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.#bytes(data);
      else this.#text(data);
    });
  }

  async open(hello: object): Promise<this> {
    await new Promise<void>((resolve) => this.socket.once("open", resolve));
    this.send(hello);
    return this;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  type(text: string | Buffer): void {
    this.socket.send(encodeBytes(WIRE_KIND.input, Buffer.from(text)));
  }

  find<Type extends Message["type"]>(type: Type): Extract<Message, { type: Type }> | undefined {
    return this.messages.findLast(
      (message): message is Extract<Message, { type: Type }> => message.type === type,
    );
  }

  async until(what: string, holds: () => boolean, ms = 120_000): Promise<void> {
    const end = performance.now() + ms;
    while (!holds()) {
      if (performance.now() > end) {
        assert.fail(
          `never saw ${what}: ${JSON.stringify(this.messages)} ${JSON.stringify(this.output.toString().slice(-200))}`,
        );
      }
      await sleep(5);
    }
  }

  see(text: string, ms?: number): Promise<void> {
    return this.until(JSON.stringify(text), () => this.output.includes(text), ms);
  }

  async end(): Promise<{ code: number; reason: string }> {
    await this.until("close", () => this.closed !== undefined);
    assert.ok(this.closed);
    return this.closed;
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }

  #text(data: Buffer): void {
    const schema = this.#protocol === TERMINAL_PROTOCOL ? TerminalServerMessage : ExecServerMessage;
    const message = schema.parse(JSON.parse(data.toString()));
    this.messages.push(message);
    if (message.type === "ready") this.offset = message.offset;
    if (message.type === "gap") {
      this.offset = message.to;
      if (this.autoAck) this.send({ type: "ack", offset: this.offset });
    }
  }

  #bytes(data: Buffer): void {
    if (this.#protocol === TERMINAL_PROTOCOL) {
      const { offset, bytes } = decodeOutput(data);
      assert.equal(offset, this.offset);
      this.offset += bytes.length;
      this.total += bytes.length;
      if (this.keep) this.output = Buffer.concat([this.output, bytes]);
      if (this.autoAck) this.send({ type: "ack", offset: this.offset });
      return;
    }
    const bytes = data.subarray(1);
    this.total += bytes.length;
    if (data[0] === WIRE_KIND.stdout) this.output = Buffer.concat([this.output, bytes]);
    else this.stderr = Buffer.concat([this.stderr, bytes]);
    if (this.autoAck) this.send({ type: "ack", bytes: this.total });
  }
}

const bash = { new: { argv: ["bash", "--norc", "--noprofile"], env: { PS1: "$ " } } };

function attach(hello: object = {}, as: Partial<Caller> = {}): Promise<Client> {
  return new Client(TERMINAL_PROTOCOL, as).open({ type: "hello", mode: "attach", terminal: bash, ...hello });
}

function exec(hello: object, as: Partial<Caller> = {}): Promise<Client> {
  return new Client(EXEC_PROTOCOL, as).open({ type: "exec", ...hello });
}

async function refusal(client: Client): Promise<string> {
  const { code, reason } = await client.end();
  const error = client.find("error");
  assert.equal(error?.fatal, true);
  assert.equal(error.code, reason);
  return `${String(code)} ${reason}`;
}

test("a terminal over WebSocket: ready, echo, exit with its code, orderly close", async () => {
  records = [];
  using client = await attach({ cols: 100, rows: 30 });
  await client.see("$ ");
  const ready = client.find("ready");
  assert.deepEqual(
    [ready?.created, ready?.role, ready?.input, ready?.cols, ready?.rows],
    [true, "controller", true, 100, 30],
  );
  client.type("echo $((20 + 3)); exit 9\r");
  assert.deepEqual(await client.end(), { code: 1000, reason: "CLOSED" });
  assert.ok(client.output.includes("23\r\n"));
  const exit = client.find("exit");
  assert.ok(exit !== undefined && "offset" in exit);
  assert.deepEqual([exit.code, exit.offset], [9, client.offset]);
  assert.deepEqual(
    records.map((record) => record.type === "terminal" && `${record.event} ${record.execution}`),
    ["created operator", "exited operator"],
  );
});

test("whoever may not type may not choose what a new terminal runs either", async () => {
  const silent = { operations: ["terminal.attach", "terminal.observe"] satisfies Operation[] };
  const programs = [{ argv: ["touch", "/tmp/ran"] }, { env: { PROMPT_COMMAND: "touch /tmp/ran" } }];
  for (const wanted of programs) {
    assert.equal(
      await refusal(await attach({ terminal: { new: wanted } }, silent)),
      "4403 OPERATION_NOT_GRANTED",
    );
  }
  using shell = await attach({ terminal: { new: {} } }, silent);
  await shell.until("ready", () => shell.find("ready") !== undefined);
  assert.equal(shell.find("ready")?.input, false);
});

test("a profile without terminals has none to observe", async () => {
  const spec = { ...ROOMY, attach: { ...ROOMY.attach, allowed: false } };
  using client = new Client(TERMINAL_PROTOCOL, { spec });
  await client.open({ type: "hello", mode: "observe", terminal: { id: newId("t") } });
  assert.equal(await refusal(client), "4403 DOOR_NOT_OFFERED");
});

test("a client that was lost resumes at its offset with nothing lost and nothing doubled", async () => {
  const argv = [
    "bash",
    "-c",
    "stty -echo; for ((i = 0; i < 300; i++)); do echo line $i; sleep 0.003; done; echo END; read x",
  ];
  const first = await attach({ terminal: { new: { argv } } });
  await first.see("line 40\r\n");
  first.socket.terminate();
  await first.end();
  const id = first.find("ready")?.terminal;
  const second = new Client(TERMINAL_PROTOCOL);
  await second.open({ type: "hello", mode: "attach", terminal: { id }, resume: first.offset, take: true });
  await second.see("END");
  const whole = first.output.toString() + second.output.toString();
  assert.equal(whole, Array.from({ length: 300 }, (_, i) => `line ${String(i)}\r\n`).join("") + "END\r\n");
  second.send({ type: "detach" });
  assert.deepEqual(await second.end(), { code: 1000, reason: "CLOSED" });
  assert.ok((await lab.link.terminals(soon())).some((info) => info.id === id && info.exit === null));
});

test("a slow viewer of a flood costs bounded memory, Ctrl-C acts at once, and another terminal stays quick", async () => {
  using slow = await attach();
  await slow.see("$ ");
  slow.autoAck = false;
  slow.keep = false;
  const before = process.memoryUsage.rss();
  slow.type("yes | head -c 200M\r");
  await slow.until("the flood", () => slow.total > 100_000);
  const stalled = await settled(() => slow.total);
  assert.ok(stalled <= 262_144 + 131_072 + 1000, `the door sent ${String(stalled)} bytes without an ack`);
  await sleep(300);
  assert.equal(slow.total, stalled);
  using other = await attach();
  await other.see("$ ");
  const echoes: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const began = performance.now();
    other.type(`echo quick-$((${String(round)} + 1))\r`);
    await other.see(`quick-${String(round + 1)}`);
    echoes.push(performance.now() - began);
  }
  assert.equal(slow.total, stalled, "it did not wait for the slow one to read on");
  assert.ok(Math.min(...echoes) < 1000);
  slow.type("\u0003");
  slow.autoAck = true;
  slow.keep = true;
  slow.send({ type: "ack", offset: slow.offset });
  slow.type("echo back-$((2 + 2))\r");
  await slow.see("back-4");
  assert.ok(slow.total - stalled < 4_000_000);
  assert.ok(process.memoryUsage.rss() - before < 60_000_000);
});

test("an observer watches and is cut when it types", async () => {
  using controller = await attach();
  await controller.see("$ ");
  const id = controller.find("ready")?.terminal;
  const as = { operations: ["terminal.observe"] as Operation[] };
  const observer = new Client(TERMINAL_PROTOCOL, as);
  await observer.open({ type: "hello", mode: "observe", terminal: { id } });
  controller.type("echo seen-$((3 + 3))\r");
  await observer.see("seen-6");
  assert.deepEqual([observer.find("ready")?.role, observer.find("ready")?.input], ["observer", false]);
  observer.type("echo intruder\r");
  assert.equal(await refusal(observer), "4400 PROTOCOL_ERROR");
  const taker = new Client(TERMINAL_PROTOCOL, as);
  await taker.open({ type: "hello", mode: "observe", terminal: { id }, take: true });
  await taker.until("ready", () => taker.find("ready") !== undefined);
  taker.send({ type: "take-control" });
  assert.equal(await refusal(taker), "4400 PROTOCOL_ERROR");
  controller.type("echo end-$((3 + 4))\r");
  await controller.see("end-7");
  assert.ok(!controller.output.includes("intruder"));
});

test("control is handed over between clients, and the record says to whom", async () => {
  using first = await attach();
  await first.see("$ ");
  const id = first.find("ready")?.terminal;
  using second = new Client(TERMINAL_PROTOCOL, { kind: "agent" });
  await second.open({ type: "hello", mode: "attach", terminal: { id } });
  await second.until("ready", () => second.find("ready") !== undefined);
  assert.equal(second.find("ready")?.role, "observer");
  second.send({ type: "take-control" });
  await second.until("control", () => second.find("role")?.role === "controller");
  await first.until("loss", () => first.find("role")?.role === "observer");
  assert.equal(first.find("role")?.controller, second.find("ready")?.session);
  first.type("echo ignored\r");
  second.type("echo taken-$((4 + 4))\r");
  await first.see("taken-8");
  assert.ok(!first.output.includes("ignored"));
  const taken = records.filter((record) => record.type === "terminal" && record.event === "control").at(-1);
  assert.equal(taken?.execution, "agent");
});

test("what a grant does not hold is refused with its code", async () => {
  assert.equal(
    await refusal(await attach({}, { operations: ["terminal.observe"] })),
    "4403 OPERATION_NOT_GRANTED",
  );
  assert.equal(
    await refusal(await exec({ argv: ["true"] }, { operations: ["terminal.agent-exec"] })),
    "4403 OPERATION_NOT_GRANTED",
  );
  assert.equal(
    await refusal(await exec({ argv: ["true"] }, { kind: "agent", operations: ["terminal.exec"] })),
    "4403 OPERATION_NOT_GRANTED",
  );
  const silent = await attach({ terminal: { new: {} } }, { operations: ["terminal.attach"] });
  await silent.until("ready", () => silent.find("ready") !== undefined);
  assert.equal(silent.find("ready")?.input, false);
  silent.type("x");
  assert.equal(await refusal(silent), "4403 OPERATION_NOT_GRANTED");
});

test("what the profile does not offer is refused", async () => {
  const spec = structuredClone(ROOMY);
  spec.execution = { ...spec.execution, agent: false, maxConcurrent: 1 };
  spec.attach = { ...spec.attach, observers: false, maxViewers: 1 };
  assert.equal(
    await refusal(await exec({ argv: ["true"] }, { kind: "agent", spec })),
    "4403 DOOR_NOT_OFFERED",
  );
  using running = await exec({ argv: ["sleep", "5"] }, { spec });
  await running.until("start", () => running.find("started") !== undefined);
  assert.equal(await refusal(await exec({ argv: ["true"] }, { spec })), "4429 RATE_LIMITED");
  using terminal = await attach({}, { spec });
  await terminal.see("$ ");
  const id = terminal.find("ready")?.terminal;
  assert.equal(await refusal(await attach({ terminal: { id } }, { spec })), "4429 RATE_LIMITED");
  assert.equal(
    await refusal(await attach({ terminal: { id }, mode: "observe" }, { spec })),
    "4403 DOOR_NOT_OFFERED",
  );
});

test("an agent with every operation attaches and watches only where the profile says so", async () => {
  using shell = await attach();
  await shell.until("ready", () => shell.find("ready") !== undefined);
  const id = shell.find("ready")!.terminal;
  for (const agents of ["deny", "observe", "control"] as const) {
    const spec = { ...ROOMY, attach: { ...ROOMY.attach, agents } };
    const as = { kind: "agent", spec } as const;
    using watching = await attach({ terminal: { id }, mode: "observe" }, as);
    if (agents === "deny") assert.equal(await refusal(watching), "4403 DOOR_NOT_OFFERED");
    else await watching.until("ready", () => watching.find("ready") !== undefined);
    using typing = await attach({ terminal: { new: {} } }, as);
    if (agents === "control") await typing.until("ready", () => typing.find("ready") !== undefined);
    else assert.equal(await refusal(typing), "4403 DOOR_NOT_OFFERED");
  }
});

const RECORDED: TerminalDoorSpec = {
  ...ROOMY,
  transcript: { ...ROOMY.transcript, capture: "output", maxBytes: 100_000 },
};

test("a client that insists on a transcript gets no terminal where the profile captures none", async () => {
  const client = await attach({ transcript: "on" });
  assert.equal(await refusal(client), "4403 DOOR_NOT_OFFERED");
  assert.match(client.find("error")?.message ?? "", /transcripts are "off"/);
});

test("a client can't opt out of the transcript that the profile wants", async () => {
  const client = await attach({ transcript: "off" }, { spec: RECORDED });
  assert.equal(await refusal(client), "4403 DOOR_NOT_OFFERED");
});

test("a recorded session is told so, and its transcript has what was printed, without secrets and without keys", async () => {
  recorded = [];
  const ended = recordings;
  const client = await attach({ transcript: "on", cols: 100, rows: 30 }, { spec: RECORDED });
  await client.until("ready", () => client.find("ready") !== undefined);
  await client.until("notice", () => client.find("notice") !== undefined);
  assert.match(client.find("notice")?.message ?? "", /recorded/);
  client.type("printf 'ghp_%s\\n' 0123456789abcdefghij; read -rs X; echo got=${#X}\r");
  await client.see("ghp_0123456789abcdefghij");
  client.type("swordfish9\r");
  await client.see("got=10");
  client.type("exit 3\r");
  await client.end();
  await client.until("transcript", () => recordings > ended);
  const [header, ...events] = recorded.map((line) => JSON.parse(line) as unknown);
  assert.deepEqual((header as { term: object }).term, { cols: 100, rows: 30, type: "xterm-256color" });
  const text = recorded.join("");
  assert.ok(text.includes("[github-token]") && text.includes("got=10"), text);
  assert.ok(!text.includes("ghp_0") && !text.includes("swordfish9"), text);
  assert.ok(events.some((event) => JSON.stringify(event).includes("operator operator:test types")));
  assert.deepEqual((events.at(-1) as unknown[]).slice(1), ["x", "3"]);
});

test("a flood is cut at the byte cap, and the viewer gets all of it", async () => {
  recorded = [];
  const ended = recordings;
  const client = await attach({}, { spec: RECORDED });
  await client.see("$ ");
  client.type("seq 1 200000; echo all-$((1+1))-there; exit\r");
  await client.end();
  await client.until("transcript", () => recordings > ended);
  assert.ok(Buffer.byteLength(recorded.join("")) <= 100_000);
  assert.ok(recorded.at(-1)?.includes("transcript cut at 100000 bytes"));
  assert.ok(client.output.includes("all-2-there"));
});

test("a revoked session is closed at once with its reason; its terminal lives on, its command dies", async () => {
  const revoked = new DoorwardError({ code: "GRANT_REVOKED", message: "revoked" });
  const terminal = await attach();
  await terminal.see("$ ");
  using since = new OwnTime();
  cut(revoked);
  assert.deepEqual(await terminal.end(), { code: 4410, reason: "GRANT_REVOKED" });
  assert.ok(since.ms < 500);
  const id = terminal.find("ready")?.terminal;
  assert.ok((await lab.link.terminals(soon())).some((info) => info.id === id && info.exit === null));
  records = [];
  const command = await exec({ argv: ["sleep", "4242"] });
  await command.until("start", () => command.find("started") !== undefined);
  cut(revoked);
  await command.end();
  await command.until("record", () => records.length > 0);
  assert.ok(records[0]?.type === "command" && records[0].outcome === "cut");
  await until("no command is left", async () => (await lab.link.health(soon())).commands === 0);
});

test("malformed first messages are refused with the field's path", async () => {
  const cases: [object | string, string][] = [
    ["not json", "JSON"],
    [{ type: "hello" }, "mode"],
    [{ type: "hello", mode: "attach", terminal: { id: "../../x" } }, "terminal"],
    [{ type: "hello", mode: "attach", terminal: bash, cols: 0 }, "cols"],
    [{ type: "hello", mode: "attach", terminal: bash, root: true }, "wrong"],
    [{ type: "hello", mode: "attach", terminal: { id: newId("t") }, resume: -1 }, "resume"],
    [{ type: "hello", mode: "attach", terminal: { id: newId("t") }, resume: 1, scrollback: 1 }, "exclude"],
  ];
  for (const [message, expected] of cases) {
    const client = new Client(TERMINAL_PROTOCOL);
    await new Promise<void>((resolve) => client.socket.once("open", resolve));
    client.socket.send(typeof message === "string" ? message : JSON.stringify(message));
    assert.equal(await refusal(client), "4400 INPUT_INVALID");
    assert.match(client.find("error")?.message ?? "", new RegExp(expected));
  }
});

test("messages out of turn end the session with PROTOCOL_ERROR", async () => {
  const first = new Client(TERMINAL_PROTOCOL);
  await first.open({ type: "resize", cols: 1, rows: 1 });
  assert.equal(await refusal(first), "4400 PROTOCOL_ERROR");
  const binary = new Client(TERMINAL_PROTOCOL);
  await new Promise<void>((resolve) => binary.socket.once("open", resolve));
  binary.type("x");
  assert.equal(await refusal(binary), "4400 PROTOCOL_ERROR");
  for (const wrong of [
    { type: "ack", offset: 10_000_000 },
    { type: "hello", mode: "attach", terminal: bash },
  ]) {
    const client = await attach();
    await client.see("$ ");
    client.send(wrong);
    assert.equal(await refusal(client), "4400 PROTOCOL_ERROR");
  }
  const kind = await attach();
  await kind.see("$ ");
  kind.socket.send(encodeBytes(WIRE_KIND.stdin, Buffer.from("x")));
  assert.equal(await refusal(kind), "4400 PROTOCOL_ERROR");
});

test("random messages end a session with a code and leave the door open for others", async () => {
  const text = fc.oneof(
    fc.json(),
    fc.string(),
    fc.constantFrom('{"type":"hello"}', '{"type":"detach"}', "{}"),
  );
  const message = fc.oneof(text, fc.uint8Array({ maxLength: 50 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (messages, attached) => {
        const client = attached
          ? await attach({ terminal: { new: { argv: ["sleep", "1"] } } })
          : new Client(EXEC_PROTOCOL);
        if (!attached) await new Promise<void>((resolve) => client.socket.once("open", resolve));
        for (const one of messages) client.socket.send(one);
        await sleep(10);
        assert.ok(client.closed === undefined || client.closed.code !== 1011, JSON.stringify(client.closed));
        client.socket.terminate();
      },
    ),
    { numRuns: 40 },
  );
  using after = await attach();
  await after.see("$ ");
});

test("an unknown terminal and an unknown program are refused with their codes", async () => {
  assert.equal(await refusal(await attach({ terminal: { id: newId("t") } })), "4404 TERMINAL_NOT_FOUND");
  assert.equal(
    await refusal(await attach({ terminal: { new: { argv: ["nope-nope"] } } })),
    "4404 COMMAND_NOT_FOUND",
  );
  records = [];
  assert.equal(await refusal(await exec({ argv: ["nope-nope"] })), "4404 COMMAND_NOT_FOUND");
  assert.ok(records[0]?.type === "command" && records[0].outcome === "not-started");
});

test("a command over WebSocket: stdout, stderr, exit code, and a record that tells agent from operator", async () => {
  records = [];
  using client = await exec(
    { argv: ["bash", "-c", "echo out; echo err >&2; exit 3"], cwd: "/tmp", env: { A: "b" } },
    { kind: "agent" },
  );
  assert.deepEqual(await client.end(), { code: 1000, reason: "CLOSED" });
  assert.deepEqual(
    [client.output.toString(), client.stderr.toString(), client.find("exit")?.code],
    ["out\n", "err\n", 3],
  );
  const [record] = records;
  assert.ok(record?.type === "command");
  assert.deepEqual(
    [record.execution, record.outcome, record.exitCode, record.stdoutBytes, record.stderrBytes, record.cwd],
    ["agent", "exited", 3, 4, 4, "/tmp"],
  );
});

test("stdin passes within its window and no further", async () => {
  using client = await exec({ argv: ["sha256sum"], stdin: true });
  await client.until("start", () => client.find("started") !== undefined);
  let room = client.find("started")?.stdinWindow ?? 0;
  let used = 0;
  const bytes = Buffer.alloc(3_000_000, "doorward");
  for (let at = 0; at < bytes.length;) {
    const credit = client.messages.reduce(
      (sum, message) => sum + (message.type === "stdin-credit" ? message.bytes : 0),
      0,
    );
    const size = Math.min(65_536, bytes.length - at, room + credit - used);
    if (size > 0) client.socket.send(encodeBytes(WIRE_KIND.stdin, bytes.subarray(at, at + size)));
    at += size;
    used += size;
    if (size === 0) await sleep(2);
  }
  client.send({ type: "stdin-end" });
  await client.end();
  const { createHash } = await import("node:crypto");
  assert.equal(client.output.toString().slice(0, 64), createHash("sha256").update(bytes).digest("hex"));
  const greedy = await exec({ argv: ["sleep", "9"], stdin: true });
  await greedy.until("start", () => greedy.find("started") !== undefined);
  room = greedy.find("started")?.stdinWindow ?? 0;
  for (let sent = 0; sent <= room; sent += 65_536)
    greedy.socket.send(encodeBytes(WIRE_KIND.stdin, Buffer.alloc(65_536)));
  assert.equal(await refusal(greedy), "4400 PROTOCOL_ERROR");
  const unasked = await exec({ argv: ["sleep", "9"] });
  await unasked.until("start", () => unasked.find("started") !== undefined);
  unasked.socket.send(encodeBytes(WIRE_KIND.stdin, Buffer.from("x")));
  assert.equal(await refusal(unasked), "4400 PROTOCOL_ERROR");
});

test("a signal ends a command, and the client hears which", async () => {
  using client = await exec({ argv: ["sleep", "60"] });
  await client.until("start", () => client.find("started") !== undefined);
  client.send({ type: "signal", signal: "SIGINT" });
  await client.end();
  assert.deepEqual([client.find("exit")?.code, client.find("exit")?.signal], [null, "SIGINT"]);
});

test("a command whose client does not acknowledge is held", async () => {
  const client = new Client(EXEC_PROTOCOL);
  client.autoAck = false;
  await client.open({ type: "exec", argv: ["cat", "/dev/zero"], window: 65_536 });
  await client.until("its first bytes", () => client.total > 0);
  const before = await settled(() => client.total);
  assert.ok(before <= 65_536 * 3, String(before));
  await sleep(200);
  assert.equal(client.total, before);
  client.socket.terminate();
});

test("a client that goes away takes its command with it", async () => {
  records = [];
  const client = await exec({ argv: ["sleep", "4343"] });
  await client.until("start", () => client.find("started") !== undefined);
  client.socket.terminate();
  await client.until("record", () => records.length > 0);
  assert.ok(records[0]?.type === "command" && records[0].outcome === "cut");
});

test("a command whose record can't be written does not report success", async () => {
  const client = await exec({ argv: ["true"] }, { recordFails: true });
  assert.equal(await refusal(client), "1011 EVIDENCE_UNWRITABLE");
  assert.equal(client.find("exit"), undefined);
});

test("notices reach the client", async () => {
  using client = await attach();
  await client.see("$ ");
  notify({ code: "MACHINE_EXPIRES", message: "The machine stops in 10 minutes" });
  await client.until("notice", () => client.find("notice") !== undefined);
  assert.deepEqual(client.find("notice"), {
    type: "notice",
    notice: "machine-expires",
    message: "The machine stops in 10 minutes",
  });
});

test("a large paste arrives whole although the program reads late", async () => {
  using client = await attach({
    terminal: {
      new: { argv: ["bash", "-c", "stty raw -echo; echo READY; sleep 0.5; head -c 500000 | wc -c; read x"] },
    },
  });
  await client.see("READY");
  for (let at = 0; at < 500_000; at += 50_000) client.type(Buffer.alloc(50_000, "p"));
  await client.see("500000");
});
