import { once } from "node:events";
import { readlink } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { NetworkOf } from "./listen-inside.ts";
import { cannotListen, listenThroughChild } from "./port-child.ts";

/** How long a port may stay taken once it is asked for. */
const PATIENCE_MS = 2000;

/** What opens a port in a machine. */
export interface MachinePortOptions {
  /** A process of the machine, in the host's pid namespace. */
  readonly pid: number;
  /** Port on the machine's loopback. */
  readonly port: number;
  /** Called when everything is ready to listen: whoever has the port lets go of it now. */
  readonly release: () => void;
  /** Gets each connection: paused, with half-close. */
  readonly accept: (socket: Socket) => void;
  readonly signal: AbortSignal;
  /** Listens through a process of its own although this one may enter the machine's network; as it may when absent. */
  readonly throughChild?: boolean;
}

/**
 * Listens on a port of a machine's loopback, in this process: what connects there needs no hop through the guest. Nothing
 * that the machine holds is ever received here: the listening socket is made on the host's side. Throws GUEST_UNREACHABLE
 * where that can't be done; the guest's own listener serves then.
 */
export async function openMachinePort(options: MachinePortOptions): Promise<Server> {
  const { pid, signal } = options;
  const [outside, inside] = [await namespaceOf("self"), await namespaceOf(pid)];
  if (inside === outside) throw cannotListen("it has no network of its own");
  const own = process.getuid?.() === 0 && options.throughChild !== true;
  const server = own ? await listenMyself(options, inside) : await listenBeside(options, outside);
  // A pid that is another process by now has another namespace.
  if ((await namespaceOf(pid)) === inside && !signal.aborted) return server;
  server.close();
  throw cannotListen("it ended");
}

async function listenBeside(options: MachinePortOptions, outside: string): Promise<Server> {
  const { pid, port, release, signal } = options;
  const listening = await listenThroughChild({
    ...{ pid, port, outside, release, signal },
    patienceMs: PATIENCE_MS,
  });
  return await listen(serverFor(options), (server) => server.listen(listening));
}

async function listenMyself(options: MachinePortOptions, inside: string): Promise<Server> {
  using network = new NetworkOf(options.pid);
  if ((await namespaceOf(options.pid)) !== inside) throw cannotListen("it ended");
  options.release();
  const fd = await taken(network, options);
  return await listen(serverFor(options), (server) => server.listen({ fd }));
}

async function taken(network: NetworkOf, { port, signal }: MachinePortOptions): Promise<number> {
  const over = performance.now() + PATIENCE_MS;
  while (performance.now() < over) {
    signal.throwIfAborted();
    const got = network.listen(port);
    if (typeof got === "number") return got;
    if (got === "refused") throw cannotListen("its network can't be entered");
    await delay(1);
  }
  throw cannotListen(`a program of it keeps port ${String(port)}`);
}

function serverFor({ accept }: MachinePortOptions): Server {
  return createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, accept);
}

async function listen(server: Server, begin: (server: Server) => void): Promise<Server> {
  const listening = once(server, "listening");
  begin(server);
  await listening;
  return server;
}

function namespaceOf(pid: number | "self"): Promise<string> {
  return readlink(`/proc/${String(pid)}/ns/net`);
}
