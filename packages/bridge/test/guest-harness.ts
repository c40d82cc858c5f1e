import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExitStatus } from "@doorward/contracts";
import { GuestTerminal, type GuestLink, type TerminalOpen } from "@doorward/guest";
import { pino } from "pino";
import { freePort } from "../../../test/support/free-port.ts";
import { listenForGuest } from "../src/machines/guest/index.ts";

const guestPackage = fileURLToPath(new URL("../../guest/", import.meta.url));
const require = createRequire(import.meta.url);

/** node-pty's native module for this host. */
export const nativePty = join(
  dirname(require.resolve("node-pty/package.json")),
  `prebuilds/linux-${process.arch}/pty.node`,
);

/** koffi's native module for this host. */
export const nativeFfi = join(
  dirname(require.resolve(`@koromix/koffi-linux-${process.arch}/package.json`)),
  `linux_${process.arch}/koffi.node`,
);

/** ripgrep for this host. */
export const shippedRipgrep = join(
  dirname(require.resolve(`@vscode/ripgrep-linux-${process.arch}/package.json`)),
  "bin/rg",
);

let bundled = false;

/** The guest's bundle, made anew once per test process. */
export function guestBundle(): string {
  if (!bundled)
    execFileSync(process.execPath, [join(guestPackage, "scripts/bundle.mjs")], { stdio: "inherit" });
  bundled = true;
  return join(guestPackage, "dist/guest.mjs");
}

/** A guest as a plain process of this host, and the bridge's link to it. */
export interface Lab extends AsyncDisposable {
  readonly folder: string;
  readonly socketPath: string;
  readonly guest: ChildProcess;
  /** Where the guest takes connections out. */
  readonly egressPort: number;
  link: GuestLink;
  /** Closes the link and listens again at the same path, as a restarted bridge does. */
  restartBridge(): Promise<void>;
}

/** A log that says nothing. */
export const quiet = pino({ level: "silent" });

/** Starts a guest against a temporary socket and waits until it is ready. */
export async function startLab(port?: number): Promise<Lab> {
  const egressPort = port ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), "dw-lab-"));
  const socketPath = join(folder, "m", "guest.sock");
  const link = await listenForGuest({ socketPath, log: quiet });
  const guest = spawn(
    process.execPath,
    [
      guestBundle(),
      ...["--socket", socketPath, "--pty", nativePty, "--ffi", nativeFfi, "--rg", shippedRipgrep],
      ...["--egress-port", String(egressPort)],
    ],
    {
      stdio: ["ignore", "ignore", "inherit"],
      cwd: folder,
    },
  );
  const lab: Lab = {
    folder,
    socketPath,
    guest,
    egressPort,
    link,
    restartBridge: async () => {
      await lab.link[Symbol.asyncDispose]();
      lab.link = await listenForGuest({ socketPath, log: quiet });
      await lab.link.ready(soon());
    },
    [Symbol.asyncDispose]: async () => {
      await lab.link[Symbol.asyncDispose]();
      await stop(guest);
      await rm(folder, { recursive: true, force: true });
    },
  };
  await link.ready(soon());
  return lab;
}

/** Ends a guest as the machine's init would. */
export async function stop(guest: ChildProcess): Promise<void> {
  if (guest.exitCode !== null || guest.signalCode !== null) return;
  const exited = once(guest, "exit");
  guest.kill("SIGTERM");
  await exited;
}

/** A signal that ends a wait that would otherwise hang the tests. */
export function soon(ms = 120_000): AbortSignal {
  return AbortSignal.timeout(ms);
}

/** Waits until something holds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 120_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits until a value has been the same for a second, and answers it: what came to a stop has done so. */
export async function settled(value: () => number | Promise<number>): Promise<number> {
  let [last, since] = [await value(), performance.now()];
  await until("it comes to a stop", async () => {
    const now = await value();
    if (now !== last) [last, since] = [now, performance.now()];
    return performance.now() - since > 1000;
  });
  return last;
}

let counter = 0;

/** An id as the bridge mints them. */
export function newId(prefix: "t" | "s"): string {
  counter += 1;
  return `${prefix}_${String(process.pid).padStart(8, "0")}${String(counter).padStart(6, "0")}`;
}

/** What creates a terminal, with defaults for tests. */
export function creating(over: Partial<Extract<TerminalOpen, { action: "create" }>> = {}): TerminalOpen {
  return {
    kind: "terminal",
    action: "create",
    terminal: newId("t"),
    viewer: newId("s"),
    argv: ["bash", "--norc", "--noprofile"],
    cwd: null,
    env: { PS1: "$ " },
    cols: 80,
    rows: 24,
    scrollbackBytes: 2_097_152,
    maxTerminals: 32,
    ...over,
  };
}

/** What attaches to a terminal, with defaults for tests. */
export function attaching(
  terminal: string,
  over: Partial<Extract<TerminalOpen, { action: "attach" }>> = {},
): TerminalOpen {
  return {
    kind: "terminal",
    action: "attach",
    terminal,
    viewer: newId("s"),
    mode: "control",
    take: true,
    from: { scrollback: 2_097_152 },
    cols: null,
    rows: null,
    ...over,
  };
}

/** A viewer that keeps everything it was sent. */
export class Watcher implements Disposable {
  readonly terminal: GuestTerminal;
  readonly gaps: { from: number; to: number }[] = [];
  readonly roles: string[] = [];
  readonly sizes: { cols: number; rows: number }[] = [];
  exit: ExitStatus | undefined;
  closed: { error: Error | undefined } | undefined;
  offset: number;
  total = 0;
  /** Keeps the bytes; off for floods. */
  keep = true;
  #parts: Buffer[] = [];
  #changed: (() => void)[] = [];

  static async open(link: GuestLink, open: TerminalOpen): Promise<Watcher> {
    return new Watcher(await GuestTerminal.open(link, open, soon()));
  }

  constructor(terminal: GuestTerminal) {
    this.terminal = terminal;
    this.offset = terminal.started.offset;
    terminal.listen({
      output: (bytes, offset) => {
        if (offset !== this.offset)
          throw new Error(`expected offset ${String(this.offset)}, got ${String(offset)}`);
        this.offset += bytes.length;
        this.total += bytes.length;
        if (this.keep) this.#parts.push(Buffer.from(bytes));
        this.#wake();
      },
      gap: (from, to) => {
        this.gaps.push({ from, to });
        this.offset = to;
        this.#wake();
      },
      role: ({ role }) => {
        this.roles.push(role);
        this.#wake();
      },
      size: (size) => {
        this.sizes.push(size);
        this.#wake();
      },
      exit: (status) => {
        this.exit = status;
        this.#wake();
      },
      closed: (error) => {
        this.closed = { error };
        this.#wake();
      },
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  get text(): string {
    return this.bytes.toString("latin1");
  }

  type(text: string): void {
    this.terminal.input(Buffer.from(text));
  }

  /** Waits until something holds, with everything seen so far in the error. */
  async until(what: string, holds: () => boolean, ms = 120_000): Promise<void> {
    const end = performance.now() + ms;
    while (!holds()) {
      if (performance.now() > end)
        throw new Error(`never saw ${what}; text: ${JSON.stringify(this.text.slice(-500))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#changed.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  see(text: string, ms?: number): Promise<void> {
    return this.until(JSON.stringify(text), () => this.text.includes(text), ms);
  }

  [Symbol.dispose](): void {
    this.terminal[Symbol.dispose]();
  }

  #wake(): void {
    for (const changed of this.#changed.splice(0)) changed();
  }
}
