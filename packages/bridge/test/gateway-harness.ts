import { mkdtemp, rm } from "node:fs/promises";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import {
  DEFAULT_AGENT_TOOL_DOOR,
  DEFAULT_TERMINAL_DOOR,
  DoorwardError,
  ROUTES,
  type Operation,
  type Problem,
} from "@doorward/contracts";
import type {
  Begun,
  Door,
  DoorEntry,
  DoorRecord,
  DoorSession,
  MachineReach,
  TranscriptFile,
} from "@doorward/doors";
import { pino } from "pino";
import { WebSocket, type ClientOptions } from "ws";
import {
  createGateway,
  openApiDocument,
  type CountedDenial,
  type Denial,
  type Gateway,
  type GatewayConfig,
  type GatewayEvidence,
  type GatewayMachine,
  type GrantsPort,
  type Handlers,
  type SessionClosed,
  type SessionOpened,
} from "../src/gateway/index.ts";
import { GrantAuthority } from "../src/grants/authority.ts";
import type { GrantMachine } from "../src/grants/ports.ts";
import { Store } from "../src/store/index.ts";
import { begunUnnoted } from "./begun-unnoted.ts";

const terminal = DEFAULT_TERMINAL_DOOR;
const agentTool = DEFAULT_AGENT_TOOL_DOOR;
const reach = (): MachineReach => ({
  workdir: "/workspace/repo",
  folders: [{ path: "/", access: "rw" }],
  narrowed: false,
});
export const ALPHA = {
  id: "m_alpha00000",
  name: "alpha",
  running: true,
  doors: ["terminal", "agent-tool"],
  terminal,
  agentTool,
  reach,
} as const;
export const BETA = {
  id: "m_beta000000",
  name: "beta",
  running: true,
  doors: ["terminal", "agent-tool"],
  terminal,
  agentTool,
  reach,
} as const;
export const ASLEEP = {
  id: "m_asleep0000",
  name: "asleep",
  running: false,
  doors: ["terminal", "agent-tool"],
  terminal,
  agentTool,
  reach,
} as const;
export const BARE = {
  id: "m_bare000000",
  name: "bare",
  running: true,
  doors: [],
  terminal,
  agentTool: null,
  reach,
} as const;
const machines: readonly GatewayMachine[] = [ALPHA, BETA, ASLEEP, BARE];

/** What tests see of the evidence: everything that the gateway wrote, in order. */
export class TestEvidence implements GatewayEvidence {
  readonly opened: SessionOpened[] = [];
  readonly closed: SessionClosed[] = [];
  readonly denials: Denial[] = [];
  readonly counted: CountedDenial[] = [];
  readonly events: unknown[] = [];
  fails = false;

  async sessionOpened(record: SessionOpened): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (this.fails) throw new Error("disk full");
    this.opened.push(record);
  }
  sessionClosed(record: SessionClosed): Promise<void> {
    this.closed.push(record);
    return Promise.resolve();
  }
  denied(record: Denial): Promise<void> {
    this.denials.push(record);
    return Promise.resolve();
  }
  countDenial(denial: CountedDenial): void {
    this.counted.push(denial);
  }
  sessionEvent(_session: SessionOpened, event: DoorRecord): Promise<void> {
    this.events.push(event);
    return Promise.resolve();
  }
  sessionBegins(session: SessionOpened): Begun {
    return begunUnnoted((record) => this.sessionEvent(session, record));
  }
  transcript(): Promise<TranscriptFile> {
    return Promise.reject(new Error("no transcripts here"));
  }
}

/** The far side of a door: checks every message as input, and echoes it. */
export class EchoDoor {
  readonly sessions: DoorSession[] = [];
  readonly received: Buffer[] = [];
  loads = 0;
  disposed = 0;

  entry(): DoorEntry {
    const door: Door = {
      id: "terminal",
      operations: [],
      open: (session, socket) => this.#open(session, socket),
      [Symbol.asyncDispose]: () => {
        this.disposed += 1;
        return Promise.resolve();
      },
    };
    const execs: Operation[] = ["terminal.exec", "terminal.agent-exec"];
    const attaches: Operation[] = ["terminal.attach", "terminal.observe", "terminal.input"];
    return {
      id: "terminal",
      endpoints: [
        { segment: "terminal", protocol: "doorward.terminal.v1", operations: attaches, implicit: attaches },
        { segment: "exec", protocol: "doorward.exec.v1", operations: execs, implicit: ["terminal.exec"] },
      ],
      load: () => {
        this.loads += 1;
        return Promise.resolve(door);
      },
    };
  }

  async #open(session: DoorSession, socket: WebSocket): Promise<void> {
    this.sessions.push(session);
    socket.on("message", (data: Buffer, binary: boolean) => {
      this.received.push(data);
      try {
        session.host.check("terminal.input");
        socket.send(data, { binary });
      } catch (error) {
        if (socket.readyState === WebSocket.OPEN) {
          socket.send(JSON.stringify({ refused: (error as DoorwardError).code }));
        }
      }
    });
    using _notices = session.host.onNotice((notice) => socket.send(JSON.stringify({ notice })));
    if (!session.signal.aborted) await once(session.signal, "abort");
  }
}

export interface Bench extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly evidence: TestEvidence;
  readonly door: EchoDoor;
  readonly authority: GrantAuthority;
  readonly folder: string;
  readonly socket: string;
  readonly port: number;
  readonly calls: unknown[];
  readonly logs: string[];
  /** Mints a grant and answers its token and id. */
  grant(request?: {
    subject?: string;
    machine?: GatewayMachine;
    operations?: Operation[];
    seconds?: number;
  }): Promise<{ token: string; id: string }>;
}

/** A gateway on real sockets with the real grants; the far sides of doors, evidence and handlers are the tests'. */
export async function startGateway(
  options: {
    handlers?: Partial<Record<string, unknown>>;
    config?: Partial<GatewayConfig>;
    doors?: readonly DoorEntry[];
  } = {},
): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), "dw-gw-"));
  const logs: string[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void logs.push(line) });
  const evidence = new TestEvidence();
  const door = new EchoDoor();
  const store = Store.open({ dir: folder, log });
  const nothing = (): Promise<void> => Promise.resolve();
  const authority = GrantAuthority.open({
    store,
    policy: { hash: `sha256:${"0".repeat(64)}`, decideGrant: () => ({ rule: "test" }) },
    evidence: { minted: nothing, narrowed: nothing, renewed: nothing, revoked: nothing, expired: nothing },
    machineName: (id) => machines.find((machine) => machine.id === id)?.name ?? null,
    log,
  });
  const calls: unknown[] = [];
  const gateway = createGateway({
    handlers: handlersOf(options.handlers ?? {}, calls),
    grants: portOf(authority),
    machines: {
      find: (name) => machines.find((machine) => machine.name === name || machine.id === name),
      names: () => machines.map(({ name }) => name),
      dial: () => Promise.reject(new Error("no guest in this test")),
      runningTerminals: () => Promise.resolve([]),
    },
    doors: [door.entry(), ...(options.doors ?? [])],
    evidence,
    config: { login: "ada", ...options.config },
    log,
  });
  const socket = join(folder, "run", "bridge.sock");
  await gateway.listenUnix(socket);
  const tcp = await gateway.listenTcp(0);
  return {
    gateway,
    evidence,
    door,
    authority,
    folder,
    socket,
    port: tcp.port,
    calls,
    logs,
    grant: async (request = {}) => {
      const machine = request.machine ?? ALPHA;
      const minted = await authority.mint(
        {
          machine: grantMachine(machine),
          subject: request.subject ?? "agent:codex:one",
          operations: request.operations ?? ["terminal.attach", "terminal.input"],
          seconds: request.seconds ?? 3600,
        },
        "operator:ada",
      );
      return { token: minted.token, id: minted.grant.grantId };
    },
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      await authority[Symbol.asyncDispose]();
      store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function portOf(authority: GrantAuthority): GrantsPort {
  return {
    authenticate: (token) => authority.authenticate(token),
    check: (grantId, operation, machineId) => authority.check(grantId, operation, machineId),
    mintImplicit: ({ subject, machine, operations }) =>
      authority.mintImplicit({
        subject,
        machine: grantMachine(machines.find(({ id }) => id === machine)!),
        operations,
      }),
    onEnded: (listener) => authority.onEnded(listener),
  };
}

function grantMachine(machine: GatewayMachine): GrantMachine {
  return {
    id: machine.id,
    name: machine.name,
    repoHostPaths: ["/tmp/repo"],
    doors: machine.doors,
    profile: "default",
  };
}

function handlersOf(given: Partial<Record<string, unknown>>, calls: unknown[]): Handlers {
  const basics = {
    "bridge.health": () => Promise.resolve({ status: "ok" }),
    "bridge.ready": () => Promise.resolve({ ready: true }),
    "bridge.openapi": () => Promise.resolve(openApiDocument("0.1.0")),
    "machines.list": () => Promise.resolve({ machines: [] }),
    "images.list": () => Promise.resolve({ images: [] }),
    "policy.check": (call: { body: { path: string } }) =>
      Promise.resolve({
        path: call.body.path,
        resolved: null,
        allowed: false,
        access: null,
        code: "PATH_NOT_FOUND",
        rule: "none",
        reason: "absent",
        hint: null,
      }),
    ...given,
  };
  const all = Object.keys(ROUTES).map((id) => {
    const handle = (basics as Record<string, unknown>)[id] as
      ((call: unknown) => Promise<unknown>) | undefined;
    return [
      id,
      (call: unknown) => {
        calls.push({ id, ...(call as object) });
        return handle === undefined ? Promise.resolve({ not: "an answer of this route" }) : handle(call);
      },
    ];
  });
  return Object.fromEntries(all) as Handlers;
}

/** A JSON answer as tests look at it: mostly a problem document, sometimes something else. */
export type AnswerJson = Problem & Readonly<Record<string, unknown>>;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: AnswerJson;
}

export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Buffer;
  readonly token?: string;
  /** Host header; `null` sends none. */
  readonly host?: string;
}

/** One HTTP request over TCP, or over the Unix socket where `socketPath` is given. */
export function ask(where: { port: number } | { socketPath: string }, given: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        ...("port" in where ? { host: "127.0.0.1", port: where.port } : where),
        method: given.method ?? "GET",
        path: given.path,
        agent: false,
        headers: {
          ...(given.host === undefined ? {} : { host: given.host }),
          ...(given.body === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(given.body) }),
          ...(given.token === undefined ? {} : { authorization: `Bearer ${given.token}` }),
          ...given.headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          let json: unknown;
          try {
            json = JSON.parse(text) as unknown;
          } catch {
            json = undefined;
          }
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: json as AnswerJson,
          });
        });
      },
    );
    request.on("error", reject);
    request.end(given.body);
  });
}

/** Sends raw bytes to a TCP port and answers all that comes back until the peer closes. */
export async function raw(port: number, bytes: string | Buffer, waitMs = 120_000): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let got = "";
  socket.on("data", (chunk) => (got += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(bytes);
  const timer = setTimeout(() => socket.destroy(), waitMs);
  await once(socket, "close");
  clearTimeout(timer);
  return got;
}

/** An upgrade that was refused with an HTTP answer. */
export class Refused extends Error {
  readonly status: number;
  readonly json: AnswerJson;
  readonly headers: IncomingHttpHeaders;

  constructor(status: number, json: AnswerJson, headers: IncomingHttpHeaders) {
    super(`refused with ${String(status)} ${json.code}`);
    this.status = status;
    this.json = json;
    this.headers = headers;
  }
}

/** Opens a door socket; rejects with the HTTP refusal. */
export function dialDoor(
  bench: Bench,
  given: {
    machine?: string;
    segment?: string;
    token?: string;
    protocols?: string[];
    unix?: boolean;
    options?: ClientOptions;
    path?: string;
  } = {},
): Promise<WebSocket> {
  const segment = given.segment ?? "terminal";
  const path = given.path ?? `/v1/machines/${given.machine ?? "alpha"}/doors/${segment}`;
  const url = given.unix === true ? `ws+unix:${bench.socket}:${path}` : `ws://127.0.0.1:${bench.port}${path}`;
  const socket = new WebSocket(url, given.protocols ?? [`doorward.${segment}.v1`], {
    ...given.options,
    headers: {
      ...(given.token === undefined ? {} : { authorization: `Bearer ${given.token}` }),
      ...given.options?.headers,
    },
  });
  return new Promise((resolve, reject) => {
    socket.once("open", () => resolve(socket));
    socket.once("error", reject);
    socket.once("unexpected-response", (_request, response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        socket.terminate();
        const json = JSON.parse(Buffer.concat(chunks).toString() || "null") as AnswerJson;
        reject(new Refused(response.statusCode ?? 0, json, response.headers));
      });
    });
  });
}

/** How dialling a door was refused. */
export async function refusal(dialled: Promise<WebSocket>): Promise<Refused> {
  try {
    (await dialled).terminate();
  } catch (thrown) {
    return thrown as Refused;
  }
  throw new Error("the door opened");
}

/** Next message of a socket as text. */
export async function nextText(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, "message")) as [Buffer];
  return data.toString();
}

/** Close code and reason of a socket. */
export async function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return { code, reason: reason.toString() };
}

/** Waits until something holds, for two minutes at most. */
export async function eventually(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 12_000; tries += 1) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`not within two minutes: ${what}`);
}

export type { Socket };
