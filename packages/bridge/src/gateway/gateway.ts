import type { Server } from "node:http";
import { DenialError, DoorwardError } from "@doorward/contracts";
import type { DoorEntry } from "@doorward/doors";
import type { Logger } from "pino";
import { Authentication } from "./authentication.ts";
import { limitsOf, type GatewayConfig } from "./config.ts";
import { ByteBudget } from "./byte-budget.ts";
import { Denials } from "./denials.ts";
import { DoorRequests } from "./door-requests.ts";
import { DoorSessions } from "./door-sessions.ts";
import { DoorUpgrades } from "./door-upgrades.ts";
import { DoorRegistry } from "./door-registry.ts";
import { transportRefusal } from "./handshake.ts";
import { HttpCalls } from "./http-calls.ts";
import { makeHttpServer } from "./http-server.ts";
import type {
  ApprovalsPort,
  EndedGrant,
  GatewayEvidence,
  GrantsPort,
  Handlers,
  HostPort,
  ListenerKind,
  MachinesPort,
} from "./ports.ts";
import { LOOPBACK_HOSTS, type RequestRules } from "./request-guard.ts";
import { listenOnLoopback, type TcpState } from "./tcp-listener.ts";
import { listenOnUnix } from "./unix-listener.ts";

/** What the gateway is made of. */
export interface GatewayOptions {
  readonly handlers: Handlers;
  readonly grants: GrantsPort;
  readonly machines: MachinesPort;
  /** The doors that this bridge serves: `DOOR_REGISTRY`, or those of a test. */
  readonly doors: readonly DoorEntry[];
  /** Who approves; where nobody does, what needs approval is refused. */
  readonly approvals?: ApprovalsPort;
  /** Who acts on the host for doors; where nobody does, what asks for it is refused. */
  readonly host?: HostPort;
  readonly evidence: GatewayEvidence;
  readonly config: GatewayConfig;
  readonly log: Logger;
}

/** The HTTP and WebSocket front of the bridge. */
export interface Gateway extends AsyncDisposable {
  /** Listens for the operator. Throws BRIDGE_RUNNING when another bridge answers at this path. */
  listenUnix(path: string): Promise<void>;
  /** Listens on loopback for holders of grants; a taken port is a state, not a failure. */
  listenTcp(port: number): Promise<TcpState>;
  readonly tcp: TcpState;
  readonly sessions: DoorSessions;
  /** Cuts the sessions over loopback TCP at doors whose interface profile does not allow it any more; answers how many. */
  cutRefusedTransports(): number;
}

/** Makes a gateway that listens nowhere yet. */
export function createGateway(options: GatewayOptions): Gateway {
  return new BridgeGateway(options);
}

class BridgeGateway implements Gateway {
  readonly sessions: DoorSessions;
  readonly #options: GatewayOptions;
  readonly #calls: HttpCalls;
  readonly #upgrades: DoorUpgrades;
  readonly #requests: DoorRequests;
  readonly #registry: DoorRegistry;
  readonly #servers: Server[] = [];
  readonly #listeners: AsyncDisposable[] = [];
  readonly #watch: Disposable;
  #tcp: TcpState = { state: "off", port: 0 };
  #disposed: Promise<void> | undefined;

  constructor(options: GatewayOptions) {
    const limits = limitsOf(options.config);
    this.#registry = new DoorRegistry(options.doors);
    const shared = {
      ...options,
      approvals: options.approvals ?? nobodyApproves,
      host: options.host ?? nobodyActs,
      registry: this.#registry,
      limits,
      authentication: new Authentication({ ...options, limits }),
      denials: new Denials({ ...options, limits }),
      sessions: new DoorSessions(limits),
      bytes: new ByteBudget(limits),
    };
    this.#options = options;
    this.sessions = shared.sessions;
    this.#calls = new HttpCalls(shared);
    this.#upgrades = new DoorUpgrades(shared);
    this.#requests = new DoorRequests(shared);
    this.#watch = options.grants.onEnded((ended) => this.sessions.closeGrant([ended.id], endOf(ended)));
  }

  get tcp(): TcpState {
    return this.#tcp;
  }

  cutRefusedTransports(): number {
    return this.sessions.rejudge(({ listener, machine, door }) => {
      const found = listener === "tcp" ? this.#options.machines.find(machine.id) : undefined;
      return found === undefined ? undefined : transportRefusal(found, door);
    });
  }

  async listenUnix(path: string): Promise<void> {
    const server = this.#server("unix", () => undefined);
    this.#listeners.push(await listenOnUnix(server, path));
    this.#servers.push(server);
  }

  async listenTcp(port: number): Promise<TcpState> {
    const addresses = this.#options.config.ipv6 === true ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    const { tcp, servers } = await listenOnLoopback(port, addresses, (bound) => this.#server("tcp", bound));
    this.#servers.push(...servers);
    this.#tcp = tcp;
    if (tcp.state === "taken") this.#options.log.error({ err: tcp.error }, "loopback TCP stays off");
    return tcp;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    const closed = this.#servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => {
            resolve();
          });
          server.closeIdleConnections();
        }),
    );
    await Promise.allSettled(this.#listeners.map((listener) => listener[Symbol.asyncDispose]()));
    await Promise.allSettled([
      this.sessions[Symbol.asyncDispose](),
      this.#calls.drain(limitsOf(this.#options.config).shutdownMs),
    ]);
    for (const server of this.#servers) server.closeAllConnections();
    await Promise.allSettled(closed);
    await this.#registry[Symbol.asyncDispose]();
    this.#watch[Symbol.dispose]();
    this.#tcp = { state: "off", port: this.#tcp.port };
  }

  #server(kind: ListenerKind, port: () => number | undefined): Server {
    const { config } = this.#options;
    const rules = (): RequestRules => ({
      hosts: new Set([...LOOPBACK_HOSTS, ...(config.hosts ?? [])]),
      port: port(),
      origins: new Set(config.origins),
      limits: limitsOf(config),
    });
    let known: RequestRules | undefined;
    return makeHttpServer(limitsOf(config), {
      request: (request, response) => {
        known ??= rules();
        if (this.#requests.serves(request)) void this.#requests.serve(request, response, kind, known);
        else this.#calls.serve(request, response, kind, known);
      },
      upgrade: (request, wire, head) => {
        void this.#upgrades.serve(request, wire, head, kind, (known ??= rules()));
      },
    });
  }
}

function endOf({ id, status, reason, error }: EndedGrant): DoorwardError {
  if (error !== undefined) return error;
  return new DoorwardError({
    code: status === "expired" ? "GRANT_EXPIRED" : "GRANT_REVOKED",
    message: `Cannot keep the door open: grant "${id}" is ${status}: ${reason}`,
  });
}

const nobodyApproves: ApprovalsPort = {
  approve: (_session, { operation }) => Promise.reject(nobody("approvals.none", operation)),
  ask: (_session, { operation }) => {
    throw nobody("approvals.none", operation);
  },
};

const nobodyActs: HostPort = {
  hostAction: () => Promise.reject(nobody("host.none", "agent-tool.host-action")),
  requestEgress: () => Promise.reject(nobody("host.none", "agent-tool.egress")),
};

function nobody(rule: string, operation: string): DenialError {
  return new DenialError({
    code: "POLICY_DENIED",
    rule,
    message: `Cannot do "${operation}": it takes somebody who decides or acts, and nobody does here`,
  });
}
