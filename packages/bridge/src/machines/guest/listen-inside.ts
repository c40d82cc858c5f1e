import { closeSync, openSync } from "node:fs";
import { systemCall } from "./system-call.ts";

const CLONE_NEWNET = 0x4000_0000;
const [AF_INET, SOCK_STREAM, SOCK_CLOEXEC] = [2, 1, 0o2000000];
const [SOL_SOCKET, SO_REUSEADDR, BACKLOG] = [1, 2, 511];

interface Calls {
  readonly setns: (fd: number, kind: number) => number;
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: Int32Array, size: number) => number;
  readonly bind: (fd: number, address: Uint8Array, size: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
}

let loaded: Calls | undefined;

function calls(): Calls {
  return (loaded ??= {
    setns: systemCall("int setns(int fd, int kind)"),
    socket: systemCall("int socket(int family, int type, int protocol)"),
    setsockopt: systemCall(
      "int setsockopt(int fd, int level, int name, const int *value, unsigned int size)",
    ),
    bind: systemCall("int bind(int fd, const uint8_t *address, unsigned int size)"),
    listen: systemCall("int listen(int fd, int backlog)"),
  });
}

/**
 * The network namespace of a process, for as long as it is not disposed. This thread enters it, makes a socket and comes
 * back, all before anything else of this process runs; only root may.
 */
export class NetworkOf implements Disposable {
  readonly #inside: number;
  readonly #home: number;
  readonly #calls = calls();

  constructor(pid: number) {
    this.#home = openSync("/proc/thread-self/ns/net", "r");
    try {
      this.#inside = openSync(`/proc/${String(pid)}/ns/net`, "r");
    } catch (error) {
      closeSync(this.#home);
      throw error;
    }
  }

  /** A socket that listens on a port of the namespace's loopback; `taken` where that can't be had now, `refused` where we may not enter. */
  listen(port: number): number | "taken" | "refused" {
    if (this.#calls.setns(this.#inside, CLONE_NEWNET) !== 0) return "refused";
    try {
      return this.#listener(port);
    } finally {
      // A bridge in a machine's network must not go on: the next one adopts what runs.
      if (this.#calls.setns(this.#home, CLONE_NEWNET) !== 0) process.kill(process.pid, "SIGKILL");
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#inside);
    closeSync(this.#home);
  }

  #listener(port: number): number | "taken" {
    const { socket, setsockopt, bind, listen } = this.#calls;
    const fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return "taken";
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, Int32Array.of(1), 4);
    const address = loopback(port);
    if (bind(fd, address, address.length) === 0 && listen(fd, BACKLOG) === 0) return fd;
    closeSync(fd);
    return "taken";
  }
}

/** 127.0.0.1 and a port, as the kernel takes it. */
function loopback(port: number): Uint8Array {
  const address = Buffer.alloc(16);
  address.set(new Uint8Array(Uint16Array.of(AF_INET).buffer), 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return address;
}
