import type { DoorwardClient, TerminalEnd, TerminalOptions, TerminalSession } from "@doorward/client";
import type { DoorwardError, WireNotice } from "@doorward/contracts";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { DetachKeys } from "./detach-keys.ts";
import { LocalTerminal } from "./local-terminal.ts";
import { SequenceFilter } from "./sequence-filter.ts";

/** What a viewer shows, and how it may be left. */
export interface ViewerOptions {
  readonly machine: string;
  readonly attach: Omit<TerminalOptions, "data" | "gap" | "notice" | "role" | "connection" | "cols" | "rows">;
  readonly observe: boolean;
  readonly detachKeys: Uint8Array;
  /** What is said when another viewer controls the terminal: how to leave, and how to take it. */
  readonly watching: (terminal: string) => string;
  /** Starts the bridge again when it is gone. */
  readonly revive: (error: DoorwardError, elapsedMs: number) => Promise<void>;
}

/** Old output is replayed for about so long after an attach; questions in it were answered long ago. */
const REPLAY_MS = 700;
const LOST_NOTICE_MS = 700;
const INPUT_HIGH_WATER = 262_144;
const END_OF_INPUT = Uint8Array.of(0x04);
const INTERRUPT = 0x03;

/** Shows a machine's terminal in this one, until its program ends, the viewer detaches, or the door closes. */
export class Viewer {
  readonly #cli: Cli;
  readonly #options: ViewerOptions;
  readonly #keys: DetachKeys;
  readonly #filter: SequenceFilter;
  readonly #terminal: LocalTerminal;
  readonly #over = new AbortController();
  #session: TerminalSession | undefined;
  /** Resolves when keys are read: whoever sees a prompt may type at once, and a line's terminal takes some keys itself. */
  readonly #begun: Promise<void>;
  #begin: (() => void) | undefined;
  #lostTimer: NodeJS.Timeout | undefined;
  #lostShown = false;
  /** Whether the connection is lost, and whether keys were lost with it. */
  #connectionState: "there" | "lost" | "keys-lost" = "there";

  constructor(cli: Cli, options: ViewerOptions) {
    this.#cli = cli;
    this.#options = options;
    this.#keys = new DetachKeys(options.detachKeys);
    this.#filter = new SequenceFilter({ answer: (text) => this.#answer(text) });
    this.#terminal = new LocalTerminal(cli.stdin, cli.stdout, () => this.#filter.screen.undo());
    this.#begun = new Promise((resolve) => (this.#begin = resolve));
  }

  /** Id of the terminal, once attached. */
  get terminalId(): string {
    return this.#session?.id ?? "";
  }

  /** Attaches and stays until the end; the terminal is as before when this returns. */
  async view(client: DoorwardClient): Promise<TerminalEnd> {
    using terminal = this.#terminal;
    const session = await this.#attach(client);
    this.#session = session;
    terminal.enter();
    terminal.onResize(({ cols, rows }) => session.resize(cols, rows), this.#over.signal);
    const left = this.#readKeys(session);
    this.#begin?.();
    this.#begin = undefined;
    // Without it, keys that go nowhere would look like a terminal that hangs; said once the keys that it names are read.
    if (session.role === "observer" && !this.#options.observe) this.#say(this.#options.watching(session.id));
    try {
      return await Promise.race([session.done, left]);
    } finally {
      this.#over.abort();
      clearTimeout(this.#lostTimer);
      await terminal.leave(this.#filter.asked > 0 || this.#filter.screen.reports);
    }
  }

  async #attach(client: DoorwardClient): Promise<TerminalSession> {
    const { attach, machine, observe, revive } = this.#options;
    const answers = this.#terminal.interactive && !observe;
    this.#filter.answers = answers && attach.terminal === undefined;
    const session = await client.attachTerminal(machine, {
      ...attach,
      ...this.#terminal.size,
      signal: this.#cli.signal,
      data: (bytes) => this.#show(bytes),
      gap: (from, to) => this.#say(`${to - from} bytes of output were lost`),
      notice: (notice) => this.#notice(notice),
      role: (role) => this.#role(role),
      connection: (state, error) => this.#connection(state, error),
      revive,
    });
    if (answers && attach.terminal !== undefined) this.#answerLater();
    return session;
  }

  #answer(text: string): void {
    this.#session?.write(Buffer.from(text));
  }

  /** Filters and shows output; what comes after the end is dropped. */
  #show(bytes: Uint8Array): void | Promise<void> {
    if (this.#begin !== undefined) return this.#begun.then(() => this.#show(bytes));
    if (this.#over.signal.aborted) return;
    const shown = this.#filter.push(bytes);
    if (shown.length === 0) return;
    return this.#terminal.write(shown);
  }

  /** Sends keys on; resolves when the viewer leaves. */
  #readKeys(session: TerminalSession): Promise<TerminalEnd> {
    const { stdin, stdout } = this.#cli;
    return new Promise((resolve) => {
      const leave = (): void => {
        session.detach();
        resolve({ kind: "detached" });
      };
      const onData = (bytes: Uint8Array): void => {
        if (this.#key(session, bytes)) leave();
      };
      const onEnd = (): void => {
        if (stdin.isTTY === true) leave();
        else session.write(END_OF_INPUT);
      };
      stdin.on("data", onData);
      stdin.once("end", onEnd);
      stdin.once("error", leave);
      stdout.once("error", leave);
      this.#over.signal.addEventListener("abort", () => stdin.off("data", onData).off("end", onEnd), {
        once: true,
      });
    });
  }

  /** Sends typed bytes on; true when the viewer wants to leave. */
  #key(session: TerminalSession, bytes: Uint8Array): boolean {
    const { forward, detached } = this.#keys.push(bytes);
    if (this.#options.observe) return detached || forward.includes(INTERRUPT);
    if (forward.length > 0 && !session.write(forward)) this.#keysLost();
    if (!detached && session.bufferedBytes > INPUT_HIGH_WATER) this.#holdInput(session);
    return detached;
  }

  #holdInput(session: TerminalSession): void {
    this.#cli.stdin.pause();
    const timer = setInterval(() => {
      if (session.bufferedBytes > INPUT_HIGH_WATER && !this.#over.signal.aborted) return;
      clearInterval(timer);
      if (!this.#over.signal.aborted) this.#cli.stdin.resume();
    }, 10);
  }

  /** Only so much is kept for a connection that comes back; half of a paste without a word could do harm. */
  #keysLost(): void {
    if (this.#connectionState !== "lost") return;
    this.#connectionState = "keys-lost";
    this.#say("what you type now does not arrive: too much waits for the connection already");
  }

  #answerLater(): void {
    this.#filter.answers = false;
    setTimeout(() => (this.#filter.answers = true), REPLAY_MS).unref();
  }

  #connection(state: "lost" | "back", error: DoorwardError | undefined): void {
    clearTimeout(this.#lostTimer);
    this.#connectionState = state === "lost" ? "lost" : "there";
    if (state === "lost") {
      if (this.#filter.answers) this.#answerLater();
      this.#lostTimer = setTimeout(() => {
        this.#lostShown = true;
        this.#say(`connection lost (${error?.code ?? "BRIDGE_UNREACHABLE"}), trying again`);
      }, LOST_NOTICE_MS);
    } else if (this.#lostShown) {
      this.#lostShown = false;
      this.#say("attached again");
    }
  }

  #notice(notice: WireNotice): void {
    if (notice.notice !== "bridge-stopping") this.#say(notice.message);
  }

  #role(role: "controller" | "observer"): void {
    if (this.#session === undefined || this.#options.observe) return;
    this.#say(
      role === "controller" ? "you control the terminal" : "another viewer controls the terminal now",
    );
  }

  #say(message: string): void {
    if (this.#over.signal.aborted) return;
    this.#cli.stderr.write(`\r\n[doorward: ${escapeLine(message)}]\r\n`);
  }
}
