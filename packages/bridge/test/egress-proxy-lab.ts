import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { DoorwardError, EgressRule, EvidenceInput } from "@doorward/contracts";
import { pino } from "pino";
import { Activity } from "../src/egress/activity.ts";
import { Books } from "../src/egress/books.ts";
import type { Dialled } from "../src/egress/dial.ts";
import { Gate } from "../src/egress/gate.ts";
import { Guard, type GuardTarget } from "../src/egress/guard.ts";
import { createEgressFront } from "../src/egress/proxy/front.ts";
import type { FrontLimits } from "../src/egress/proxy/limits.ts";
import type {
  BoundSecret,
  EgressConnection,
  EgressGate,
  EgressMachine,
  EgressPermit,
} from "../src/egress/ports.ts";
import { HostResolver } from "../src/egress/resolver.ts";
import { ensureMachineCa, type MachineCa } from "../src/egress/tls/machine-ca.ts";
import { dnsServer } from "./egress-lab.ts";

/** What the books of a connection hold at its end. */
export interface BookedConnection {
  readonly host: string;
  readonly port: number;
  readonly via: string;
  address: string | undefined;
  sent: number;
  received: number;
  secrets: string[];
  requests: string[];
  failure: string | undefined;
  open: boolean;
  cut: (reason: DoorwardError) => void;
}

/** A front on a loopback port that stands for the guest's pipe, with the real gate, guard and resolver behind it, which asks a name server on loopback. */
export interface ProxyLab extends AsyncDisposable {
  readonly port: number;
  readonly machine: EgressMachine;
  readonly ca: MachineCa;
  /** Authority of the far sides; rules of hosts in {@link serve} trust it. */
  readonly farCa: MachineCa;
  readonly booked: BookedConnection[];
  /** What the books wrote so far. */
  readonly records: readonly EvidenceInput[];
  readonly gate: Gate;
  /** Writes what the books hold. */
  flush(): Promise<void>;
  readonly streams: Set<Socket>;
  /** Puts a host into the name system at these addresses, and allows it by a rule. */
  allow(rule: EgressRule, farPort: number, addresses?: readonly string[]): void;
  /** Allows a host as one of the public internet, whatever the name system answers. */
  allowPublic(host: string, ports: readonly number[], ...answers: readonly (readonly string[])[]): void;
  /** Takes every rule of a host away. */
  forbid(host: string): void;
  /** Only puts a name into the name system; each asking takes the next answer, the last one stays. */
  name(host: string, ...answers: readonly (readonly string[])[]): void;
  bind(host: string, secret: BoundSecret): void;
  /** What the name server was asked, in turn: `name type`. */
  readonly asked: string[];
  dialProxy(): Promise<Socket>;
}

export interface LabOptions {
  readonly limits?: Partial<FrontLimits>;
  /** Wraps the machine's stream, as other transports would. */
  readonly wrap?: (socket: Socket) => Duplex;
}

/** Starts a lab. */
export async function startProxyLab(options: LabOptions = {}): Promise<ProxyLab> {
  const folder = mkdtempSync(join(tmpdir(), "doorward-egress-"));
  const machine = { id: "m_1", name: "crate" };
  const ca = ensureMachineCa(join(folder, "ca"));
  const farCa = ensureMachineCa(join(folder, "far"));
  const farCaFile = join(folder, "far.pem");
  writeFileSync(farCaFile, farCa.certificate);
  const rules: EgressRule[] = [];
  const farPorts = new Map<string, number>();
  const bound = new Map<string, BoundSecret[]>();
  const booked: BookedConnection[] = [];
  const records: EvidenceInput[] = [];
  const names = new Names();
  const dns = await dnsServer((name, type) => names.answer(name, type));
  const resolver = new HostResolver({ hostsFile: null, servers: [dns.server] });
  const books = new Books(
    (input) => Promise.resolve(records.push(input)),
    () => "sha256:lab",
  );
  const gate = realGate(machine, rules, new PortGuard(resolver, farPorts), books);
  const front = createEgressFront({
    gate: watched(gate, booked),
    secrets: { boundTo: (_machine, host) => bound.get(host) ?? [] },
    ca: () => ca,
    log: pino({ level: "silent" }),
    limits: options.limits,
  });
  const streams = new Set<Socket>();
  const life = new AbortController();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    streams.add(socket);
    socket.once("close", () => streams.delete(socket));
    void front.serve(options.wrap?.(socket) ?? socket, machine, life.signal);
  });
  const port = await listening(server);
  return {
    port,
    machine,
    ca,
    farCa,
    booked,
    records,
    gate,
    flush: () => books.flush(),
    streams,
    asked: dns.asked,
    allow(rule, farPort, addresses = ["127.0.0.1"]) {
      rules.push({ addresses: ["127.0.0.0/8", "::1/128"], ca: farCaFile, ...rule });
      names.set(rule.host, [addresses]);
      for (const each of rule.ports ?? [443]) farPorts.set(`${rule.host}:${each}`, farPort);
    },
    allowPublic(host, ports, ...answers) {
      rules.push({ host, ports: [...ports] });
      names.set(host, answers);
    },
    forbid(host) {
      for (let at = rules.length - 1; at >= 0; at -= 1) if (rules[at]?.host === host) rules.splice(at, 1);
    },
    name(host, ...answers) {
      names.set(host, answers);
    },
    bind(host, secret) {
      bound.set(host, [...(bound.get(host) ?? []), secret]);
    },
    dialProxy: () => dialLocal(port),
    async [Symbol.asyncDispose]() {
      life.abort();
      for (const socket of streams) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      gate[Symbol.dispose]();
      dns.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What the name server answers: each asking for one type takes the next of a name's answers, the last one stays. */
class Names {
  readonly #answers = new Map<string, readonly (readonly string[])[]>();
  readonly #asked = new Map<string, number>();

  set(name: string, answers: readonly (readonly string[])[]): void {
    this.#answers.set(name, answers);
  }

  answer(name: string, type: "A" | "AAAA"): readonly string[] {
    const answers = this.#answers.get(name) ?? [];
    const key = `${name} ${type}`;
    const before = this.#asked.get(key) ?? 0;
    this.#asked.set(key, before + 1);
    const now = answers[Math.min(before, answers.length - 1)] ?? [];
    return now.filter((address) => address.includes(":") === (type === "AAAA"));
  }
}

/** The guard as it is, but for far sides on free ports: rules name 443, and a test may not listen there. */
class PortGuard extends Guard {
  readonly #ports: ReadonlyMap<string, number>;

  constructor(resolver: HostResolver, ports: ReadonlyMap<string, number>) {
    super(resolver);
    this.#ports = ports;
  }

  override dial(target: GuardTarget, signal: AbortSignal): Promise<Dialled> {
    const port = this.#ports.get(`${target.host}:${target.port}`) ?? target.port;
    return super.dial({ ...target, port }, signal);
  }
}

function realGate(machine: EgressMachine, rules: readonly EgressRule[], guard: Guard, books: Books): Gate {
  const known = { ...machine, subject: "operator:ada", profile: "default" };
  const nothing = { presets: [], allow: [], deny: [], askSeconds: 0 };
  return new Gate({
    policy: {
      get policy() {
        return { version: 1, roots: [], egress: { ...nothing, allow: [...rules] } } as never;
      },
      hash: "sha256:lab",
      profile: () => ({ egress: nothing }),
    },
    machine: (id) => (id === machine.id ? known : undefined),
    allowances: () => [],
    guard,
    books,
    activity: new Activity(),
    asking: { wouldAsk: () => false } as never,
    log: pino({ level: "silent" }),
  });
}

/** The gate as it is, with a list of what it tracked beside it. */
function watched(gate: Gate, booked: BookedConnection[]): EgressGate {
  return {
    decide: (target, signal) => gate.decide(target, signal),
    dial: (permit, signal) => gate.dial(permit, signal),
    refused: (machine, target, error) => gate.refused(machine, target, error),
    track: (permit, cut) => book(booked, permit, cut, gate.track(permit, cut)),
  };
}

function book(
  booked: BookedConnection[],
  { target: { host, port, via } }: EgressPermit,
  cut: (reason: DoorwardError) => void,
  real: EgressConnection,
): EgressConnection {
  const entry: BookedConnection = {
    host,
    port,
    via,
    address: undefined,
    sent: 0,
    received: 0,
    secrets: [],
    requests: [],
    failure: undefined,
    open: true,
    cut,
  };
  booked.push(entry);
  const also =
    <T extends unknown[]>(kept: (...args: T) => void, passed: (...args: T) => void) =>
    (...args: T): void => {
      kept(...args);
      passed(...args);
    };
  return {
    dialled: also(
      (address: string) => (entry.address = address),
      (address) => real.dialled(address),
    ),
    sent: also(
      (bytes: number) => (entry.sent += bytes),
      (bytes) => real.sent(bytes),
    ),
    received: also(
      (bytes: number) => (entry.received += bytes),
      (bytes) => real.received(bytes),
    ),
    usedSecret: also(
      (name: string) => entry.secrets.push(name),
      (name) => real.usedSecret(name),
    ),
    request: also(
      (method: string, path: string, status: number) => entry.requests.push(`${method} ${path} ${status}`),
      (method, path, status) => real.request(method, path, status),
    ),
    failed: also(
      (code: string) => (entry.failure = code),
      (code) => real.failed(code),
    ),
    [Symbol.dispose]: () => {
      entry.open = false;
      real[Symbol.dispose]();
    },
  };
}

/** Listens on a free loopback port. */
export async function listening(server: Server, host = "127.0.0.1"): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  // A server's address is a string only on a Unix socket.
  return (server.address() as AddressInfo).port;
}

/** Connects to a loopback port; half-open, and with errors swallowed. */
export function dialLocal(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    socket.once("connect", () => {
      resolve(socket);
    });
    socket.once("error", reject);
    socket.on("error", () => undefined);
  });
}

/** Everything that arrives until the connection ends, breaks, or `enough` says so. */
export function collect(
  socket: Duplex,
  enough: (bytes: Buffer) => boolean = () => false,
  ms = 30_000,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => {
      finish();
      reject(new Error(`no end after ${ms} ms: ${bytes.toString("latin1").slice(0, 500)}`));
    }, ms);
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (enough(bytes)) done();
    };
    const finish = (): void => {
      clearTimeout(timer);
      socket.off("data", onData).off("end", done).off("close", done);
    };
    const done = (): void => {
      finish();
      // What comes later waits for the next reader.
      socket.pause();
      resolve(bytes);
    };
    socket.on("data", onData).once("end", done).once("close", done);
    socket.resume();
    if (socket.destroyed || socket.readableEnded) done();
  });
}

/** Asks the proxy for a tunnel and gives the answer's head; what follows stays on the socket. */
export async function askTunnel(socket: Socket, authority: string, headers = ""): Promise<string> {
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${headers}\r\n`);
  const answer = await collect(socket, (bytes) => bytes.includes("\r\n\r\n"));
  const end = answer.indexOf("\r\n\r\n");
  socket.pause();
  if (end >= 0 && answer.length > end + 4) socket.unshift(answer.subarray(end + 4));
  return answer.toString("latin1").slice(0, end < 0 ? undefined : end);
}
