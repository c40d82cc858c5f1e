import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before } from "node:test";
import {
  DEFAULT_TERMINAL_DOOR,
  DenialError,
  DoorwardError,
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
import { WebSocketServer, type WebSocket } from "ws";
import { begunUnnoted } from "./begun-unnoted.ts";
import { newId, startLab, type Lab } from "./guest-harness.ts";

const ALL: Operation[] = [
  "terminal.attach",
  "terminal.observe",
  "terminal.input",
  "terminal.exec",
  "terminal.agent-exec",
];

/** What the gateway decided for the next connection. */
export interface Caller {
  kind: "operator" | "agent";
  operations: Operation[];
  spec: TerminalDoorSpec;
  recordFails: boolean;
}

/** The default door, with room for all the terminals that these tests leave behind. */
export const ROOMY: TerminalDoorSpec = {
  ...DEFAULT_TERMINAL_DOOR,
  attach: { ...DEFAULT_TERMINAL_DOOR.attach, agents: "control", maxTerminals: 256 },
};

/** An operator, who may do everything. */
export const operator = (): Caller => ({
  kind: "operator",
  operations: [...ALL],
  spec: ROOMY,
  recordFails: false,
});

/** The gateway's side of the door: what it decided for the next connection, and what it saw of all. */
class Gate {
  lab!: Lab;
  url = "";
  caller = operator();
  records: (DoorRecord & { session: string })[] = [];
  /** Lines of the transcript of the newest session that has one, and how many have ended. */
  recorded: string[] = [];
  recordings = 0;
  /** Cuts the newest session, as the gateway does on revocation. */
  cut: (error: DoorwardError) => void = () => undefined;
  notify: (notice: DoorNotice) => void = () => undefined;
}

/** The one of a test file, whose door is open while its tests run. */
export const gate = new Gate();

let door: Door;
const server = createServer();

before(async () => {
  gate.lab = await startLab();
  const [entry] = DOOR_REGISTRY;
  assert.ok(entry !== undefined);
  door = await entry.load();
  const sockets = new WebSocketServer({ server, maxPayload: 2_000_000, perMessageDeflate: false });
  sockets.on("connection", (socket) => void serve(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  gate.url = `ws://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await gate.lab[Symbol.asyncDispose]();
});

/** The gateway's side of a session: a signal that is aborted at its end, and a close with the error's code. */
async function serve(socket: WebSocket): Promise<void> {
  const { kind, operations, spec, recordFails } = gate.caller;
  const controller = new AbortController();
  const id = newId("s");
  const end = (error: DoorwardError): void => {
    socket.close(error.entry.close, error.code);
    controller.abort(error);
  };
  gate.cut = end;
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
      dial: (open, signal) => gate.lab.link.dial(open, signal),
      ask: () => assert.fail("no questions here"),
      hostAction: () => Promise.reject(new Error("no host actions here")),
      requestEgress: () => Promise.reject(new Error("no way out here")),
      runningTerminals: async (signal) =>
        (await gate.lab.link.terminals(signal)).filter(({ exit }) => exit === null).map(({ id }) => id),
      record: (record) => {
        if (recordFails)
          return Promise.reject(new DoorwardError({ code: "EVIDENCE_UNWRITABLE", message: "disk full" }));
        gate.records.push({ ...record, session: id });
        return Promise.resolve();
      },
      begin() {
        return begunUnnoted((record) => this.record(record));
      },
      transcript: () =>
        Promise.resolve({
          stopped: false,
          write: (line: string) => void gate.recorded.push(line),
          [Symbol.asyncDispose]: () => Promise.resolve(void (gate.recordings += 1)),
        }),
      approve: () => Promise.resolve(),
      onNotice: (listener) => {
        gate.notify = listener;
        return { [Symbol.dispose]: () => undefined };
      },
    },
  };
  await door.open(session, socket).catch((error: unknown) => end(toDoorwardError(error)));
}
