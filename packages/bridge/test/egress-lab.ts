import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DoorwardError, type EvidenceInput } from "@doorward/contracts";
import { pino } from "pino";
import { Approvals } from "../src/approvals/index.ts";
import { Egress, Guard, HostResolver, type GateLimits, type KnownMachine } from "../src/egress/index.ts";
import type { EgressConnection, EgressMachine, EgressTarget } from "../src/egress/ports.ts";
import { PolicyFile } from "../src/policy/index.ts";
import { Store } from "../src/store/index.ts";

export const SHOP: KnownMachine = {
  id: "m_shop000000",
  name: "shop",
  subject: "operator:ada",
  profile: "default",
};
export const LAB: KnownMachine = {
  id: "m_lab0000000",
  name: "lab",
  subject: "operator:ada",
  profile: "default",
};

/** A policy file, a store, a hosts file and a queue of approvals in a temp folder, with a real gate on them. */
export class EgressLab implements AsyncDisposable {
  readonly base = mkdtempSync(join(tmpdir(), "dw-egress-"));
  readonly records: EvidenceInput[] = [];
  readonly machines = new Map([SHOP, LAB].map((machine) => [machine.id, machine]));
  readonly hostsFile = join(this.base, "hosts");
  readonly notified: string[] = [];
  readonly #log = pino({ level: "silent" });
  readonly #closing: (() => Promise<void> | void)[] = [];
  store!: Store;
  policy!: PolicyFile;
  approvals!: Approvals;
  egress!: Egress;
  failing = false;
  #held: { readonly type: EvidenceInput["type"]; readonly until: Promise<{ index: number }> } | undefined;

  static async open(
    policy: object,
    options: { limits?: Partial<GateLimits>; guard?: Guard } = {},
  ): Promise<EgressLab> {
    const lab = new EgressLab();
    writeFileSync(lab.hostsFile, "");
    lab.write(policy);
    try {
      await lab.start(options);
    } catch (error) {
      rmSync(lab.base, { recursive: true, force: true });
      throw error;
    }
    return lab;
  }

  /** Opens everything, as a bridge that starts does. */
  async start(options: { limits?: Partial<GateLimits>; guard?: Guard } = {}): Promise<void> {
    this.policy = await PolicyFile.load({
      configDir: this.base,
      stateDir: this.base,
      runtimeDir: this.base,
      home: this.base,
    });
    this.store = Store.open({ dir: this.base, log: this.#log });
    const evidence = {
      append: (input: EvidenceInput) => {
        if (this.failing) return Promise.reject(new Error("disk full"));
        if (input.type === this.#held?.type) return this.#held.until;
        return Promise.resolve({ index: this.records.push(input) - 1 });
      },
      keyedDigest: (value: unknown) =>
        `sha256:${Buffer.from(JSON.stringify(value)).toString("hex").padEnd(64, "0").slice(0, 64)}`,
    };
    this.approvals = await Approvals.open({
      store: this.store,
      evidence,
      policyHash: () => this.policy.hash,
      bridgeSubject: "operator:bridge",
      notifier: { notify: (title) => Promise.resolve(void this.notified.push(title)) },
      log: this.#log,
    });
    this.egress = new Egress({
      store: this.store,
      evidence: evidence as never,
      policy: this.policy,
      approvals: this.approvals,
      machine: (id) => this.machines.get(id),
      bridgeSubject: "operator:bridge",
      guard:
        options.guard ??
        new Guard(new HostResolver({ hostsFile: this.hostsFile, servers: ["127.0.0.1:9"], timeoutMs: 300 })),
      limits: options.limits ?? {},
      log: this.#log,
    });
  }

  /** Records of a type are neither durable nor refused until the caller says so. */
  holdBack(type: EvidenceInput["type"]): { reject: (error: Error) => void } {
    let reject: (error: Error) => void = () => undefined;
    const until = new Promise<{ index: number }>((_, no) => (reject = no));
    this.#held = { type, until };
    return { reject };
  }

  /** Ends everything in order; `start` opens it again on the same state. */
  async stop(): Promise<void> {
    await this.egress[Symbol.asyncDispose]();
    await this.approvals[Symbol.asyncDispose]();
    this.store.close();
  }

  /** Writes the policy; JSON is YAML. */
  write(policy: object): void {
    writeFileSync(join(this.base, "policy.yaml"), JSON.stringify({ version: 1, roots: [], ...policy }), {
      mode: 0o600,
    });
  }

  async reload(policy: object): Promise<void> {
    this.write(policy);
    await this.policy.reload();
  }

  hosts(lines: Readonly<Record<string, string>>): void {
    writeFileSync(
      this.hostsFile,
      Object.entries(lines)
        .map(([name, address]) => `${address} ${name}`)
        .join("\n"),
    );
  }

  /** A TCP server on a loopback address that echoes; answers its port. */
  async server(
    address = "127.0.0.1",
    serve: (socket: Socket) => void = (socket) => void socket.pipe(socket),
  ): Promise<number> {
    const server: Server = createServer((socket) => {
      socket.on("error", () => undefined);
      serve(socket);
    }).listen(0, address);
    await once(server, "listening");
    const sockets = new Set<Socket>();
    server.on("connection", (socket) => sockets.add(socket));
    this.#closing.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  }

  target(host: string, port: number, machine: EgressMachine = SHOP): EgressTarget {
    return { machine: { id: machine.id, name: machine.name }, host, port, via: "connect" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing) await close();
    await this.stop();
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** A signal that never aborts. */
export const { signal } = new AbortController();
/** Who changes something. */
export const BY = { subject: "operator:ada", correlationId: "c1" };

/** The error that something is refused with. */
export async function refusal(work: Promise<unknown>): Promise<DoorwardError> {
  const error: unknown = await work.then(
    () => assert.fail("it was allowed"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof DoorwardError, String(error));
  return error;
}

/** A rule for an internal target. */
export function internal(host: string, port: number, range = "127.0.0.0/8"): object {
  return { host, ports: [port], addresses: [range] };
}

/** A connection as the proxy holds it: decided, dialled and tracked. */
export async function connected(
  lab: EgressLab,
  host: string,
  port: number,
): Promise<{ connection: EgressConnection; cut: DoorwardError[]; close: () => void }> {
  const cut: DoorwardError[] = [];
  const permit = await lab.egress.gate.decide(lab.target(host, port), signal);
  const { socket, address } = await lab.egress.gate.dial(permit, signal);
  const connection = lab.egress.gate.track(permit, (reason) => {
    cut.push(reason);
    socket.destroy();
    connection[Symbol.dispose]();
  });
  connection.dialled(address);
  return { connection, cut, close: () => socket.destroy() };
}

/** Records of one type. */
export function of<T extends EvidenceInput["type"]>(
  lab: EgressLab,
  type: T,
): Extract<EvidenceInput, { type: T }>[] {
  return lab.records.filter((record): record is Extract<EvidenceInput, { type: T }> => record.type === type);
}

/** Waits for a fact. */
export async function eventually(fact: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 12_000; tries += 1) {
    if (fact()) return;
    await delay(10);
  }
  assert.fail(`never: ${what}`);
}

/** A DNS server on loopback over UDP: answers A and AAAA as `answer` says, each time anew; an empty answer is no data. */
export async function dnsServer(
  answer: (name: string, type: "A" | "AAAA", asked: number) => readonly string[] | "silent",
): Promise<{ server: string; asked: string[]; close: () => void }> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (query, peer) => {
    const { name, type, end } = question(query);
    asked.push(`${name} ${type}`);
    const found = answer(name, type, asked.length);
    if (found === "silent") return;
    socket.send(reply(query, end, type, found), peer.port, peer.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { server: `127.0.0.1:${socket.address().port}`, asked, close: () => socket.close() };
}

function question(query: Buffer): { name: string; type: "A" | "AAAA"; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.subarray(at + 1, at + 1 + length).toString("latin1"));
    at += length + 1;
  }
  return {
    name: labels.join(".").toLowerCase(),
    type: query.readUInt16BE(at + 1) === 28 ? "AAAA" : "A",
    end: at + 5,
  };
}

function reply(query: Buffer, end: number, type: "A" | "AAAA", addresses: readonly string[]): Buffer {
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt32BE(0, 8);
  const records = addresses.map((address) => {
    const bytes = type === "A" ? Buffer.from(address.split(".").map(Number)) : ipv6Bytes(address);
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type === "A" ? 1 : 28, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([head, query.subarray(12, end), ...records]);
}

function ipv6Bytes(address: string): Buffer {
  const [front = "", back = ""] = address.split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const zeros = 8 - groups(front).length - groups(back).length;
  const all = [...groups(front), ...Array.from({ length: zeros }, () => "0"), ...groups(back)];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}
