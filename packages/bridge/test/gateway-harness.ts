import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import {
  DEFAULT_AGENT_TOOL_DOOR,
  DEFAULT_TERMINAL_DOOR,
  DoorwardError,
  ROUTES,
  type Operation,
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
import { WebSocket } from "ws";
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
