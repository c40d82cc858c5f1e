import type { ProcessPlan, ProcessResult } from "@doorward/contracts";
import { digestOf } from "./flow-scope.ts";
import type { ActionDone, ActionFacts } from "./flow-ports.ts";
import type { ActionFailure, CommandOutcome, CommandPlan, CommandRequest } from "./ports.ts";
import { isInterpreter } from "./scopes/index.ts";

interface Asked {
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly timeoutMs?: number | undefined;
  readonly input?: string | undefined;
  readonly encoding?: "utf8" | "base64" | undefined;
}

/** A command of a request or a step, with nothing left out or encoded. */
export function commandRequest(asked: Asked): CommandRequest {
  const { command, args = [], cwd = null, env = {}, timeoutMs = null, input, encoding = "utf8" } = asked;
  return {
    command,
    args,
    cwd,
    env,
    timeoutMs,
    input: input === undefined ? null : Buffer.from(input, encoding),
  };
}

/** Everything of a plan that must be the same when it runs, as JSON. */
export function planState(plan: CommandPlan): unknown {
  const { input, ...rest } = plan;
  return { ...rest, input: input === null ? null : digestOf(input.toString("base64")) };
}

/** What an approval for a time covers: this very command. Interpreters are asked about each time. */
export function commandShape(plans: readonly CommandPlan[]): { readonly of: unknown } | null {
  const runsCode = plans.some(
    ({ program, command }) => isInterpreter(program.path) || isInterpreter(command),
  );
  return runsCode ? null : { of: plans.map(planState) };
}

/** What evidence says of a command. */
export function commandFacts({ command, args, cwd, program }: CommandPlan): ActionFacts {
  const name = command.split("/").at(-1) ?? command;
  return {
    program: name.slice(0, 255) || null,
    argv: [command, ...args],
    cwd: cwd.path,
    target: null,
    operationCount: 1,
    before: { program: program.digest },
  };
}

/** What a command would be run as. */
export function processPlan({ command, args, cwd, scope }: CommandPlan): ProcessPlan {
  return { dryRun: true, command, args: [...args], cwd: cwd.path, scope };
}

/** How a command went, as its contract says it. */
export function commandDone(
  plan: CommandPlan,
  outcome: CommandOutcome,
  encoding: "utf8" | "base64",
  keep = Number.MAX_SAFE_INTEGER,
): ActionDone {
  const { exitCode, stdout, stderr, timedOut, durationMs } = outcome;
  const truncated = outcome.truncated || stdout.length + stderr.length > keep;
  const result: ProcessResult = {
    command: plan.command,
    args: [...plan.args],
    cwd: plan.cwd.path,
    exitCode,
    stdout: stdout.subarray(0, keep).toString(encoding),
    stderr: stderr.subarray(0, Math.max(0, keep - stdout.length)).toString(encoding),
    ...(truncated ? { truncated } : {}),
    timedOut,
    durationMs: Math.round(durationMs),
    dryRun: false,
  };
  const failure = failureOf(plan, outcome);
  return { result, failure, exitCode, stdoutBytes: stdout.length, stderrBytes: stderr.length, bytes: 0 };
}

function failureOf(plan: CommandPlan, outcome: CommandOutcome): ActionFailure | null {
  const { timedOut, cancelled, exitCode, signal } = outcome;
  const doing = `Cannot run "${plan.command}"`;
  if (timedOut) return { code: "TIMEOUT", message: `${doing}: it was ended after ${plan.timeoutMs} ms` };
  if (cancelled) return { code: "CANCELLED", message: `${doing}: it was cancelled` };
  if (exitCode === 0) return null;
  const how = exitCode === null ? `it was ended by ${signal ?? "a signal"}` : `it exited with ${exitCode}`;
  return { code: "PROCESS_EXIT_NON_ZERO", message: `${doing}: ${how}` };
}
