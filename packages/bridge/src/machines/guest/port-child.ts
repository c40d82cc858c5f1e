import { spawn, type ChildProcess } from "node:child_process";
import { Server } from "node:net";
import { DoorwardError } from "@doorward/contracts";

const NSENTER = "/usr/bin/nsenter";
const READY_MS = 5000;

/**
 * Runs in the machine's network namespace, on the host's file system and with the bridge's own user: listens, hands the
 * listening socket over, and is gone. It refuses to do that in the namespace that the bridge is in.
 */
const LISTENER = `
const { createServer } = require("node:net");
const { readlinkSync } = require("node:fs");
const [port, outside, patience] = process.argv.slice(1);
if (readlinkSync("/proc/self/ns/net") === outside) process.exit(3);
process.on("disconnect", () => process.exit(0));
process.once("message", () => {
  const over = Date.now() + Number(patience);
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

/** What a child needs to know. */
export interface PortChildOptions {
  readonly pid: number;
  readonly port: number;
  /** Namespace that it must not listen in, as its link reads. */
  readonly outside: string;
  readonly release: () => void;
  /** How long the port may stay taken. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/**
 * Has a short-lived process enter a machine's user and network namespace and listen there: what a bridge that is not
 * root has to do, as a process with threads can't enter a user namespace.
 */
export async function listenThroughChild(options: PortChildOptions): Promise<Server> {
  const { release, signal } = options;
  const child = enter(options);
  const stop = (): void => void child.kill("SIGKILL");
  const late = setTimeout(stop, READY_MS);
  signal.addEventListener("abort", stop, { once: true });
  try {
    await told(child, "ready");
    release();
    child.send("listen");
    const listening = await told(child, "port");
    if (!(listening instanceof Server)) throw cannotListen("no socket came");
    return listening;
  } finally {
    clearTimeout(late);
    signal.removeEventListener("abort", stop);
    if (child.connected) child.disconnect();
  }
}

/** Why a port of a machine can't be listened on. */
export function cannotListen(why: string): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: `Cannot listen in the machine: ${why}`,
  });
}

function enter({ pid, port, outside, patienceMs }: PortChildOptions): ChildProcess {
  const target = `/proc/${String(pid)}/ns`;
  const user = process.getuid?.() === 0 ? [] : [`--user=${target}/user`, "--preserve-credentials"];
  const args = [String(port), outside, String(patienceMs)];
  const entering = [...user, `--net=${target}/net`, "--", process.execPath, "-e", LISTENER, ...args];
  return spawn(NSENTER, entering, { stdio: ["ignore", "ignore", "ignore", "ipc"], env: {} });
}

function told(child: ChildProcess, what: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once("error", (error) => reject(cannotListen(error.message)));
    // What was sent before is heard before, unlike with the event of its exit.
    child.once("disconnect", () => reject(cannotListen("its listener ended")));
    child.once("message", (message, handle) => {
      if (message === what) resolve(handle);
      else reject(cannotListen("its listener said something else"));
    });
  });
}
