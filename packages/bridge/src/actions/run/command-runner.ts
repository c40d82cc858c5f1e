import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ActionError } from "../action-error.ts";
import { hostFailure } from "../failures.ts";
import type { CommandOutcome, CommandPlan, CommandRunner } from "../ports.ts";
import { reapCgroups } from "./cgroup.ts";
import { CONTAINMENTS, contain, type ContainmentKind } from "./containment.ts";
import { keepOutput } from "./bounded-output.ts";
import { holdProgram, type HeldProgram } from "./held-program.ts";
import { Supervised } from "./supervised.ts";
import type { FromSupervisor } from "./supervisor-protocol.ts";

const KILL_AFTER_MS = 1000;

/** Options of the runner; tests choose how programs are held, and how long a program has after it was asked to end. */
export interface HostCommandsOptions {
  readonly containments?: readonly ContainmentKind[];
  readonly killAfterMs?: number;
}

type End = FromSupervisor | "timeout" | "cancel" | "lost";

/** Runs judged commands on this host: the very file, in the very folder, with nothing inherited and nothing left behind. */
export class HostCommands implements CommandRunner {
  readonly #containments: readonly ContainmentKind[];
  readonly #killAfterMs: number;

  constructor(options: HostCommandsOptions = {}) {
    this.#containments = options.containments ?? CONTAINMENTS;
    this.#killAfterMs = options.killAfterMs ?? KILL_AFTER_MS;
  }

  /** Ends what a killed bridge left running; gives back how many programs that were. */
  async reap(): Promise<number> {
    return await reapCgroups();
  }

  async run(plan: CommandPlan, signal: AbortSignal): Promise<CommandOutcome> {
    const held = await holdProgram(plan);
    try {
      if (signal.aborted) return cancelledOutcome();
      return await this.#runHeld(plan, held, signal);
    } finally {
      held.close();
    }
  }

  async #runHeld(plan: CommandPlan, held: HeldProgram, signal: AbortSignal): Promise<CommandOutcome> {
    const began = performance.now();
    await using supervised = await Supervised.start(
      held,
      await contain(plan.program.path, this.#containments),
      plan,
    );
    const stdout = keepOutput(supervised.stdout, plan.maxOutputBytes);
    const stderr = keepOutput(supervised.stderr, plan.maxOutputBytes);
    const [end, last] = await endOf(supervised, plan, this.#killAfterMs, signal);
    const durationMs = Math.round(performance.now() - began);
    await supervised[Symbol.asyncDispose]();
    if (last !== null && last.type === "failed") throw startFailure(plan, last);
    if (end === "lost")
      throw hostFailure(`Cannot run "${plan.command}": its supervisor was ended from outside`);
    return {
      exitCode: last?.code ?? null,
      signal: last === null ? "SIGKILL" : last.signal,
      timedOut: end === "timeout",
      cancelled: end === "cancel",
      stdout: stdout.bytes(),
      stderr: stderr.bytes(),
      truncated: stdout.truncated || stderr.truncated,
      durationMs,
    };
  }
}

/** Why the program's time was over, and what it said last: it has some time after being asked to end. */
async function endOf(
  supervised: Supervised,
  plan: CommandPlan,
  killAfterMs: number,
  signal: AbortSignal,
): Promise<readonly [End, FromSupervisor | null]> {
  using done = abortOnDispose();
  const limit = sleep(plan.timeoutMs, "timeout" as const, { signal: done.signal, ref: false });
  const cancel = signal.aborted
    ? Promise.resolve()
    : once(signal, "abort", { signal: done.signal }).then(() => undefined);
  const end = await Promise.race([
    supervised.answer,
    quiet(limit),
    cancel.then(
      () => "cancel" as const,
      () => "lost" as const,
    ),
  ]);
  if (end === "lost" || typeof end === "object") return [end, typeof end === "object" ? end : null];
  supervised.terminate();
  const after = sleep(killAfterMs, null, { signal: done.signal });
  const last = await Promise.race([supervised.answer, quiet(after)]);
  return [end, typeof last === "object" ? last : null];
}

function abortOnDispose(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  return { signal: controller.signal, [Symbol.dispose]: () => controller.abort() };
}

/** An aborted wait has already lost its race. */
function quiet<T>(wait: Promise<T>): Promise<T> {
  wait.catch(() => undefined);
  return wait;
}

function startFailure(plan: CommandPlan, failed: Extract<FromSupervisor, { type: "failed" }>): ActionError {
  const message = `Cannot run "${plan.command}": ${failed.message}`;
  if (failed.code === "ENOENT") return hostFailure(message, undefined, "PROCESS_SPAWN_ENOENT");
  if (failed.code === "EACCES" || failed.code === "EPERM")
    return hostFailure(message, undefined, "PROCESS_SPAWN_PERMISSION_DENIED");
  return hostFailure(message);
}

function cancelledOutcome(): CommandOutcome {
  const empty = Buffer.alloc(0);
  const ended = { exitCode: null, signal: null, timedOut: false, cancelled: true, truncated: false };
  return { ...ended, stdout: empty, stderr: empty, durationMs: 0 };
}
