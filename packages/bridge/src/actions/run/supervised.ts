import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Duplex, type Readable } from "node:stream";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { hostFailure } from "../failures.ts";
import type { CommandPlan } from "../ports.ts";
import { emptyCgroups } from "./cgroup.ts";
import type { Containment } from "./containment.ts";
import type { HeldProgram } from "./held-program.ts";
import { lastOutput } from "./last-output.ts";
import { FromSupervisor, SUPERVISOR_FD, type ToSupervisor } from "./supervisor-protocol.ts";

/** How long the supervisor may take to end its namespace; what that holds is killed with it afterwards, and wrote no more. */
const END_WAIT_MS = 2000;

/** One program under its supervisor, from start until everything it started is dead. */
export class Supervised implements AsyncDisposable {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** What became of the program; `lost` when the supervisor ended without a word. */
  readonly answer: Promise<FromSupervisor | "lost">;
  readonly #child: ChildProcess;
  readonly #control: Duplex;
  readonly #containment: Containment;
  readonly #closed: Promise<unknown>;

  private constructor(child: ChildProcess, containment: Containment) {
    const control = child.stdio[SUPERVISOR_FD.control];
    if (child.stdout === null || child.stderr === null || !(control instanceof Duplex))
      throw hostFailure("Cannot run: the supervisor has no streams");
    this.stdout = child.stdout;
    this.stderr = child.stderr;
    this.#child = child;
    this.#control = control;
    this.#containment = containment;
    this.#closed = once(child, "close");
    this.#closed.catch(() => undefined);
    this.answer = answerOf(child, control);
  }

  static async start(held: HeldProgram, containment: Containment, plan: CommandPlan): Promise<Supervised> {
    const [program = process.execPath, ...args] = [
      ...containment.prefix,
      process.execPath,
      ...supervisorArguments(),
    ];
    try {
      const child = spawn(program, args, {
        cwd: "/",
        env: {},
        detached: true,
        shell: false,
        stdio: ["pipe", "pipe", "pipe", "pipe", held.program, held.cwd],
      });
      child.on("error", () => undefined);
      const supervised = new Supervised(child, containment);
      supervised.#begin(held, plan, child);
      return supervised;
    } catch (error) {
      await emptyCgroups(containment.cgroups);
      throw hostFailure(`Cannot run "${plan.command}": its supervisor cannot be started`, error);
    }
  }

  /** Asks the program's group to end. */
  terminate(): void {
    this.#send({ type: "terminate" });
  }

  /** Resolves when all that the program started is dead. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#control.destroy();
    if (this.#containment.prefix.length > 0) await this.#endNamespace();
    else if (this.#lives()) this.#child.kill("SIGKILL");
    await emptyCgroups(this.#containment.cgroups);
    await this.#endStreams();
  }

  async #endStreams(): Promise<void> {
    if (this.#lives()) await Promise.race([once(this.#child, "exit"), this.#closed]).catch(() => undefined);
    await lastOutput(this.#closed);
    for (const stream of this.#child.stdio) stream?.destroy();
    await this.#closed;
  }

  #begin(held: HeldProgram, plan: CommandPlan, child: ChildProcess): void {
    const cgroups = [...this.#containment.cgroups];
    const { argv0, args } = held;
    this.#send({ type: "start", argv0, args: [...args], env: { ...plan.env }, cgroups });
    // A program that does not read its input closes it.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(plan.input ?? undefined);
  }

  #lives(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #send(message: ToSupervisor): void {
    if (this.#control.writable) this.#control.write(`${JSON.stringify(message)}\n`);
  }

  /** The supervisor is process 1 there: its exit, which the closed channel brings, is over when all others are dead. */
  async #endNamespace(): Promise<void> {
    if (!this.#lives()) return;
    const waited = new AbortController();
    const late = sleep(END_WAIT_MS, "late" as const, { signal: waited.signal });
    late.catch(() => undefined);
    const end = await Promise.race([once(this.#child, "exit"), late]);
    waited.abort();
    if (end === "late") this.#child.kill("SIGKILL");
  }
}

function answerOf(child: ChildProcess, control: Duplex): Promise<FromSupervisor | "lost"> {
  return new Promise((resolve) => {
    control.on("error", () => undefined);
    child.once("error", () => resolve("lost"));
    createInterface({ input: control })
      .once("line", (line) => resolve(parsed(line)))
      .once("close", () => resolve("lost"));
  });
}

function parsed(line: string): FromSupervisor | "lost" {
  try {
    return FromSupervisor.parse(JSON.parse(line));
  } catch {
    return "lost";
  }
}

function supervisorArguments(): readonly string[] {
  const source = import.meta.url.endsWith(".ts");
  const entry = fileURLToPath(new URL(source ? "./supervisor.ts" : "./supervisor.js", import.meta.url));
  const loader = source ? ["--conditions=source", "--import", import.meta.resolve("tsx")] : [];
  return ["--max-semi-space-size=1", ...loader, entry];
}
