import { spawn, type ChildProcess } from "node:child_process";
import { readlink } from "node:fs/promises";
import { createServer, Server, type Socket } from "node:net";
import { DoorwardError } from "@doorward/contracts";

const NSENTER = "/usr/bin/nsenter";
const READY_MS = 5000;
/** How long a port may stay taken once it is asked for. */
const BIND_MS = 2000;

/**
 * Runs in the machine's network namespace, on the host's file system and with the bridge's own user: listens, hands the
 * listening socket over, and is gone. It refuses to do that in the namespace that the bridge is in.
 */
const LISTENER = `
const { createServer } = require("node:net");
const { readlinkSync } = require("node:fs");
const [port, outside] = process.argv.slice(1);
if (readlinkSync("/proc/self/ns/net") === outside) process.exit(3);
process.on("disconnect", () => process.exit(0));
process.once("message", () => {
  const over = Date.now() + ${String(BIND_MS)};
  const listen = () => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error) => {
      if (error.code !== "EADDRINUSE" || Date.now() > over) process.exit(4);
      setTimeout(listen, 1);
    });
    server.listen({ host: "127.0.0.1", port: Number(port), backlog: 511 }, () => {
      // It is gone at once, so that it takes none of the connections that come.
      process.send("port", server, () => process.exit(0));
    });
  };
  listen();
});
process.send("ready");
`;

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
}

/**
 * Listens on a port of a machine's loopback, in this process: what connects there needs no hop through the guest. Only
 * the listening socket crosses the wall, outwards, and it was made on the host's side: nothing that the machine holds
 * is ever received here. Throws GUEST_UNREACHABLE where that can't be done; the guest's own listener serves then.
 */
export async function openMachinePort(options: MachinePortOptions): Promise<Server> {
  const { pid, port, release, signal } = options;
  const [outside, inside] = [await namespaceOf("self"), await namespaceOf(pid)];
  if (inside === outside) throw refused("it has no network of its own");
  const child = enter(pid, [String(port), outside]);
  const stop = (): void => void child.kill("SIGKILL");
  const late = setTimeout(stop, READY_MS);
  signal.addEventListener("abort", stop, { once: true });
  try {
    await told(child, "ready");
    release();
    child.send("listen");
    const listening = await told(child, "port");
    if (!(listening instanceof Server)) throw refused("no socket came");
    const ways = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true };
    const server = createServer(ways, options.accept).listen(listening);
    // A pid that is another process by now has another namespace.
    if ((await namespaceOf(pid)) === inside && !signal.aborted) return server;
    server.close();
    throw refused("it ended");
  } finally {
    clearTimeout(late);
    signal.removeEventListener("abort", stop);
    if (child.connected) child.disconnect();
  }
}

function enter(pid: number, args: readonly string[]): ChildProcess {
  const target = `/proc/${String(pid)}/ns`;
  const user = process.getuid?.() === 0 ? [] : [`--user=${target}/user`, "--preserve-credentials"];
  const entering = [...user, `--net=${target}/net`, "--", process.execPath, "-e", LISTENER, ...args];
  return spawn(NSENTER, entering, { stdio: ["ignore", "ignore", "ignore", "ipc"], env: {} });
}

function told(child: ChildProcess, what: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once("error", (error) => reject(refused(error.message)));
    // What was sent before is heard before, unlike with the event of its exit.
    child.once("disconnect", () => reject(refused("its listener ended")));
    child.once("message", (message, handle) => {
      if (message === what) resolve(handle);
      else reject(refused("its listener said something else"));
    });
  });
}

function namespaceOf(pid: number | "self"): Promise<string> {
  return readlink(`/proc/${String(pid)}/ns/net`);
}

function refused(why: string): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: `Cannot listen in the machine: ${why}`,
  });
}
