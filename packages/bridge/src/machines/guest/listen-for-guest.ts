import { randomBytes } from "node:crypto";
import { chmod } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { DoorwardError } from "@doorward/contracts";
import {
  FILES_PROTOCOL,
  GUEST_PROTOCOLS,
  agreeOnProtocol,
  type ConnectionHello,
  type GuestHealth,
  type GuestHello,
  type GuestLink,
  type StreamOpen,
  type TerminalInfo,
} from "@doorward/guest";
import type { Logger } from "pino";
import { ControlLink } from "./control-link.ts";
import { readHello } from "./first-frame.ts";
import { keepHalfOpen } from "./half-open.ts";
import { IntruderLimit } from "./intruder-limit.ts";
import { MAX_EGRESS, MachineEgress } from "./machine-egress.ts";
import { prepareSocketFolder } from "./socket-folder.ts";
import { waitFor } from "./wait-for.ts";

/** The guest has its turn among all that runs in its machine, which may be a thousand programs that want the processor. */
const DIAL_TIMEOUT_MS = 15_000;
/** A control connection that does not answer for this long gives way to a new one. */
const PROBE_TIMEOUT_MS = 1000;
/** Connections that said no hello yet, beyond those that were asked for: a whole burst of egress is accepted before the first is read. */
const MAX_NAMELESS = 32 + MAX_EGRESS;
/** Connections that broke the rules and are put up with in one second. */
const REFUSED_PER_SECOND = 200;
/** How long a socket that was flooded stays closed. */
const FLOOD_PAUSE_MS = 1000;

/** Where and how to listen for one machine's guest. */
export interface GuestListenOptions {
  /** At most 107 bytes; its folder is mounted read-only into the machine, the folder above is private. */
  readonly socketPath: string;
  readonly log: Logger;
}

/** Listens for the guest of one machine; a socket that an earlier bridge left is replaced. */
export async function listenForGuest(options: GuestListenOptions): Promise<GuestLink> {
  const listener = new GuestListener(options);
  await listener.listen();
  return listener;
}

type ControlHello = Extract<ConnectionHello, { connection: "control" }>;

interface Expected {
  readonly kind: StreamOpen["kind"];
  readonly resolve: (socket: Socket) => void;
}

class GuestListener implements GuestLink {
  readonly #options: GuestListenOptions;
  readonly #log: Logger;
  readonly #sockets = new Set<Socket>();
  readonly #expected = new Map<string, Expected>();
  readonly #readyListeners = new Set<(hello: GuestHello) => void>();
  readonly #lostListeners = new Set<() => void>();
  readonly #egress: MachineEgress;
  readonly #intruders = new IntruderLimit(REFUSED_PER_SECOND);
  #server: Server | undefined;
  #control: ControlLink | undefined;
  #nameless = 0;
  #probing = false;
  readonly #closing = new AbortController();

  constructor(options: GuestListenOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#egress = new MachineEgress({
      log: options.log,
      signal: this.#closing.signal,
      ready: (signal) => this.ready(signal),
      serveByGuest: (listen) => this.#control?.serveEgress(listen),
      keep: (socket) => this.#keep(socket),
      flooded: () => this.#floodPause(),
    });
  }

  async listen(): Promise<void> {
    await prepareSocketFolder(this.#options.socketPath);
    const server = createServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(this.#options.socketPath, resolve);
    });
    await chmod(this.#options.socketPath, 0o666);
    this.#server = server;
  }

  ready(signal: AbortSignal): Promise<GuestHello> {
    if (this.#control !== undefined) return Promise.resolve(this.#control.hello);
    return new Promise((resolve, reject) => {
      const either = AbortSignal.any([signal, this.#closing.signal]);
      const aborted = (): void => {
        listening[Symbol.dispose]();
        reject(unreachable("wait for the machine's guest", "it did not connect in time"));
      };
      const listening = this.onReady((hello) => {
        listening[Symbol.dispose]();
        either.removeEventListener("abort", aborted);
        resolve(hello);
      });
      either.addEventListener("abort", aborted, { once: true });
      if (either.aborted) aborted();
    });
  }

  async dial(open: StreamOpen, signal: AbortSignal): Promise<Duplex> {
    const control = this.#requireControl(`open ${open.kind} stream`);
    if (open.kind === "files") requireFiles(control.hello);
    const nonce = randomBytes(16).toString("base64url");
    const arrival = new Promise<Socket>((resolve) => this.#expected.set(nonce, { kind: open.kind, resolve }));
    control.open({ type: "open", nonce, open });
    try {
      return await waitFor(arrival, DIAL_TIMEOUT_MS, signal, `${open.kind} stream`);
    } catch (error) {
      void arrival.then((late) => late.destroy());
      throw error;
    } finally {
      this.#expected.delete(nonce);
    }
  }

  async health(signal: AbortSignal): Promise<GuestHealth> {
    const answer = await this.#requireControl("ask the guest").ask("health", signal);
    if (answer.what !== "health") throw unreachable("ask the guest", "it answered something else");
    return answer.health;
  }

  async terminals(signal: AbortSignal): Promise<readonly TerminalInfo[]> {
    const answer = await this.#requireControl("list terminals").ask("terminals", signal);
    if (answer.what !== "terminals") throw unreachable("list terminals", "it answered something else");
    return answer.terminals;
  }

  onEgress(listener: (stream: Duplex) => void): Disposable {
    return this.#egress.listen(listener);
  }

  takeEgressPort(pid: number): Promise<void> {
    return this.#egress.takePort(pid);
  }

  onReady(listener: (hello: GuestHello) => void): Disposable {
    this.#readyListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#readyListeners.delete(listener) };
  }

  onLost(listener: () => void): Disposable {
    this.#lostListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#lostListeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#egress[Symbol.dispose]();
    for (const socket of this.#sockets) socket.destroy();
    await closed(this.#server);
    this.#server = undefined;
  }

  #accept(socket: Socket): void {
    if (this.#closing.signal.aborted || this.#nameless >= MAX_NAMELESS + this.#expected.size) {
      this.#refuse(socket, "too many connections without a hello");
      return;
    }
    this.#keep(socket);
    this.#nameless += 1;
    readHello(socket, (hello) => {
      this.#nameless -= 1;
      if (hello === undefined) this.#refuse(socket, "no hello");
      else if (hello.connection === "control") void this.#welcome(socket, hello);
      else if (hello.connection === "egress") this.#egress.carry(socket);
      else this.#arrive(socket, hello.nonce);
    });
  }

  #arrive(socket: Socket, nonce: string): void {
    const expected = this.#expected.get(nonce);
    if (expected === undefined) {
      this.#refuse(socket, "unknown nonce");
      return;
    }
    this.#expected.delete(nonce);
    if (expected.kind === "dial") keepHalfOpen(socket);
    expected.resolve(socket);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  /** A second control connection is refused while the first one answers. */
  async #welcome(socket: Socket, hello: ControlHello): Promise<void> {
    const protocol = agreeOnProtocol(GUEST_PROTOCOLS, hello.protocols);
    if (protocol === undefined) {
      this.#log.error(
        { offered: hello.protocols, ours: GUEST_PROTOCOLS },
        "guest speaks no protocol of ours",
      );
      this.#refuse(socket, "no common protocol");
    } else if (await this.#firstAnswers()) this.#refuse(socket, "a control connection stands");
    else this.#establish(socket, hello, protocol);
  }

  async #firstAnswers(): Promise<boolean> {
    const first = this.#control;
    if (first === undefined) return false;
    if (this.#probing) return true;
    this.#probing = true;
    try {
      await first.ask("health", AbortSignal.timeout(PROBE_TIMEOUT_MS));
      return true;
    } catch {
      first.cut();
      if (this.#control === first) this.#lose(undefined);
      return false;
    } finally {
      this.#probing = false;
    }
  }

  #establish(socket: Socket, hello: ControlHello, protocol: number): void {
    if (this.#closing.signal.aborted || socket.destroyed || this.#control !== undefined) {
      socket.destroy();
      return;
    }
    const { instance, pid, runtime, build } = hello;
    const control = new ControlLink(socket, { instance, pid, runtime, build, protocol }, (error) => {
      if (this.#control === control) this.#lose(error);
    });
    this.#control = control;
    if (this.#egress.served) control.serveEgress(false);
    this.#log.info({ instance, protocol, build }, "guest connected");
    for (const listener of [...this.#readyListeners]) listener(control.hello);
  }

  #lose(error: DoorwardError | undefined): void {
    this.#control = undefined;
    this.#log.info({ err: error }, "guest lost");
    for (const listener of [...this.#lostListeners]) listener();
  }

  #refuse(socket: Socket, reason: string): void {
    socket.destroy();
    if (!this.#intruders.exceeded()) {
      this.#log.debug({ reason }, "connection to the guest's socket refused");
      return;
    }
    this.#floodPause();
  }

  #floodPause(): void {
    if (this.#server !== undefined && !this.#closing.signal.aborted) void this.#pauseListening(this.#server);
  }

  /** Existing streams go on; whoever floods the socket finds it closed for a moment. */
  async #pauseListening(server: Server): Promise<void> {
    this.#log.warn("the machine floods its guest socket: not listening for a moment");
    this.#server = undefined;
    server.close();
    await new Promise((resolve) => setTimeout(resolve, FLOOD_PAUSE_MS));
    if (this.#isClosing()) return;
    await this.listen().catch((error: unknown) => this.#log.error({ err: error }, "listen failed"));
    // Closed while the socket was being made: it must not stay behind.
    if (this.#isClosing()) await closed(this.#server);
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  #requireControl(what: string): ControlLink {
    if (this.#control !== undefined) return this.#control;
    throw unreachable(
      what,
      this.#closing.signal.aborted ? "the link was closed" : "the machine's guest is not connected",
    );
  }
}

/** A guest of an earlier bridge that outlived it may speak the previous protocol only. */
function requireFiles(hello: GuestHello): void {
  if (hello.protocol >= FILES_PROTOCOL) return;
  throw new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: `Cannot open files of the machine: its guest speaks protocol ${String(hello.protocol)}, and files need ${String(FILES_PROTOCOL)}`,
    hint: "doorward stop MACHINE, then doorward start MACHINE: it was started by an older Doorward",
  });
}

function closed(server: Server | undefined): Promise<void> {
  if (server === undefined) return Promise.resolve();
  return new Promise((resolve) => server.close(() => resolve()));
}

function unreachable(what: string, why: string): DoorwardError {
  return new DoorwardError({ code: "GUEST_UNREACHABLE", message: `Cannot ${what}: ${why}` });
}
