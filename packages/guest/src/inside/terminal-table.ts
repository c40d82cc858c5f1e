import type { TerminalInfo, TerminalOpen } from "../protocol.ts";
import { defaultShell, findProgram, programEnv, requireFolder } from "./program.ts";
import { StreamFailure } from "./stream-failure.ts";
import { Terminal } from "./terminal.ts";

/** A finished terminal keeps its output and exit status this long. */
const KEEP_FINISHED_MS = 600_000;
/** ... and at most this many do. */
const KEEP_FINISHED = 16;

type CreateOpen = Extract<TerminalOpen, { action: "create" }>;

/** The terminals of this machine. */
export class TerminalTable {
  readonly #terminals = new Map<string, Terminal>();

  /** Number of terminals whose program runs. */
  get running(): number {
    return [...this.#terminals.values()].filter(({ exit }) => exit === null).length;
  }

  /** Starts a program on a new terminal. */
  create(open: CreateOpen): Terminal {
    if (this.#terminals.has(open.terminal)) {
      throw new StreamFailure("INPUT_INVALID", `Cannot create terminal: "${open.terminal}" exists`);
    }
    if (this.running >= open.maxTerminals) {
      throw new StreamFailure(
        "TERMINAL_LIMIT",
        `Cannot create terminal: the machine has ${String(this.running)} of ${String(open.maxTerminals)}`,
      );
    }
    const terminal = started({
      id: open.terminal,
      scrollbackBytes: open.scrollbackBytes,
      pty: ptyOptions(open),
      ended: () => this.#finished(open.terminal),
    });
    this.#terminals.set(terminal.id, terminal);
    return terminal;
  }

  /** The terminal of an id. */
  get(id: string): Terminal {
    const terminal = this.#terminals.get(id);
    if (terminal !== undefined) return terminal;
    throw new StreamFailure("TERMINAL_NOT_FOUND", `Cannot attach: the machine has no terminal "${id}"`);
  }

  /** All terminals, the finished ones included. */
  list(): TerminalInfo[] {
    return [...this.#terminals.values()].map((terminal) => terminal.info());
  }

  /** Hangs up every terminal. */
  hangUp(): void {
    for (const terminal of this.#terminals.values()) terminal.hangUp();
  }

  #finished(id: string): void {
    setTimeout(() => this.#terminals.delete(id), KEEP_FINISHED_MS).unref();
    const finished = [...this.#terminals.values()].filter(({ exit }) => exit !== null);
    for (const old of finished.slice(0, Math.max(0, finished.length - KEEP_FINISHED))) {
      this.#terminals.delete(old.id);
    }
  }
}

/** A terminal with its program; node-pty does not say why it could not fork, and all that can be is a limit. */
function started(options: ConstructorParameters<typeof Terminal>[0]): Terminal {
  try {
    return new Terminal(options);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("forkpty"))) throw error;
    const why = "the machine has as many processes, open files or pseudo-terminals as it may";
    throw new StreamFailure("PROCESS_LIMIT", `Cannot create terminal: ${why}`);
  }
}

function ptyOptions(open: CreateOpen): ConstructorParameters<typeof Terminal>[0]["pty"] {
  const cwd = open.cwd ?? process.cwd();
  requireFolder(cwd);
  const env = programEnv(process.env, {
    TERM: "xterm-256color",
    COLORTERM: "truecolor",
    ...open.env,
    PWD: cwd,
  });
  const [name, ...args] = open.argv ?? [defaultShell()];
  const program = findProgram(name ?? "", env["PATH"], cwd);
  return { program, args, env, cwd, cols: open.cols, rows: open.rows };
}
