import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { DenialError, type DoorwardError, type EgressRule } from "@doorward/contracts";
import { pino } from "pino";
import { Guard } from "../src/egress/guard.ts";
import { createEgressFront } from "../src/egress/proxy/front.ts";
import type { FrontLimits } from "../src/egress/proxy/limits.ts";
import type {
  BoundSecret,
  EgressConnection,
  EgressGate,
  EgressMachine,
  EgressPermit,
  EgressTarget,
} from "../src/egress/ports.ts";
import { decide, effectiveRules, type EffectiveRules } from "../src/egress/rules.ts";
import { ensureMachineCa, type MachineCa } from "../src/egress/tls/machine-ca.ts";

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

/** A front on a loopback port that stands for the guest's pipe, with the real rules and guard behind it. */
export interface ProxyLab extends AsyncDisposable {
  readonly port: number;
  readonly machine: EgressMachine;
  readonly ca: MachineCa;
  /** Authority of the far sides; rules of hosts in {@link serve} trust it. */
  readonly farCa: MachineCa;
  readonly booked: BookedConnection[];
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
  /** How often addresses were asked for. */
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
  const rules: EgressRule[] = [];
  const names = new Map<string, (readonly string[])[]>();
  const farPorts = new Map<string, number>();
  const bound = new Map<string, BoundSecret[]>();
  const asked: string[] = [];
  const booked: BookedConnection[] = [];
  const guard = new Guard({
    resolve: (name) => {
      asked.push(name);
      const answers = names.get(name) ?? [];
      return Promise.resolve((answers.length > 1 ? answers.shift() : answers[0]) ?? []);
    },
  });
  const spec = { presets: [], deny: [], askSeconds: 0 };
  const current = (): EffectiveRules =>
    effectiveRules({
      policy: { ...spec, allow: rules },
      profile: { name: "default", egress: { ...spec, allow: [] } },
      allowances: [],
    });
  const gate: EgressGate = {
    decide: (target) => Promise.resolve().then(() => permitOf(current(), target, farCa.certificate)),
    dial: async (permit, signal) => {
      const { host, port } = permit.target;
      const verdict = decide(current(), host, port);
      const ranges = verdict.kind === "allowed" ? verdict.rule.ranges : null;
      const farPort = farPorts.get(`${host}:${port}`) ?? port;
      return guard.dial({ scheme: "tcp", host, port: farPort, ranges }, signal);
    },
    track: (permit, cut) => book(booked, permit.target, cut),
  };
  const front = createEgressFront({
    gate,
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
    streams,
    asked,
    allow(rule, farPort, addresses = ["127.0.0.1"]) {
      rules.push({ addresses: ["127.0.0.0/8", "::1/128"], ...rule });
      names.set(rule.host, [addresses]);
      for (const each of rule.ports ?? [443]) farPorts.set(`${rule.host}:${each}`, farPort);
    },
    allowPublic(host, ports, ...answers) {
      rules.push({ host, ports: [...ports] });
      names.set(host, [...answers]);
    },
    forbid(host) {
      for (let at = rules.length - 1; at >= 0; at -= 1) if (rules[at]?.host === host) rules.splice(at, 1);
    },
    name(host, ...answers) {
      names.set(host, [...answers]);
    },
    bind(host, secret) {
      bound.set(host, [...(bound.get(host) ?? []), secret]);
    },
    dialProxy: () => dialLocal(port),
    async [Symbol.asyncDispose]() {
      life.abort();
      for (const socket of streams) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function permitOf(rules: EffectiveRules, target: EgressTarget, farCa: string): EgressPermit {
  const verdict = decide(rules, target.host, target.port);
  if (verdict.kind !== "allowed") {
    throw new DenialError({
      code: "EGRESS_DENIED",
      rule: "egress: no rule",
      message: `Cannot let machine "${target.machine.name}" reach "${target.host}:${target.port}": no rule allows it`,
      hint: `doorward egress allow ${target.machine.name} ${target.host}`,
    });
  }
  const { source, tls, methods, paths } = verdict.rule;
  return { target, rule: source, tls, methods, paths, ca: farCa };
}

function book(
  booked: BookedConnection[],
  { host, port, via }: EgressTarget,
  cut: (reason: DoorwardError) => void,
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
  return {
    dialled: (address) => void (entry.address = address),
    sent: (bytes) => void (entry.sent += bytes),
    received: (bytes) => void (entry.received += bytes),
    usedSecret: (name) => void entry.secrets.push(name),
    request: (method, path, status) => void entry.requests.push(`${method} ${path} ${status}`),
    failed: (code) => void (entry.failure = code),
    [Symbol.dispose]: () => void (entry.open = false),
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
  ms = 10_000,
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
