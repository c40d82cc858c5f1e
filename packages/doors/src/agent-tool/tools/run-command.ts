import { constants } from "node:os";
import { posix } from "node:path";
import { DoorwardError, WireEnv } from "@doorward/contracts";
import * as z from "zod";
import { textOf, type OutputPart } from "../commands/command-output.ts";
import { exitCodeOf, type StartedCommand } from "../commands/background-commands.ts";
import { lostCommand, type CommandEnd } from "../commands/machine-command.ts";
import { programOf } from "../commands/program-of.ts";
import { defineTool, type ToolAnswer, type ToolCall } from "../tool.ts";
import { commandFields, outputField } from "./command-fields.ts";
import { seconds } from "./seconds.ts";

const DEFAULT_SECONDS = 120;
const LONGEST_SECONDS = 3600;
/** Characters of output that one answer has; the start and the end of a longer one. */
const ANSWER_CHARACTERS = 30_000;
const HEAD_CHARACTERS = 10_000;
const PROGRESS_MS = 2000;

const Input = z.strictObject({
  command: z
    .string()
    .min(1)
    .max(100_000)
    .regex(/^[^\u0000]*$/)
    .describe("Command line for bash, e.g. npm test 2>&1 | tail -50"),
  cwd: z
    .string()
    .min(1)
    .max(4096)
    .regex(/^[^\u0000-\u001f\u007f]*$/)
    .optional()
    .describe("Folder to run it in, absolute or relative to the repository; the repository when absent"),
  timeout_seconds: z
    .int()
    .min(1)
    .max(86_400)
    .optional()
    .describe("Killed after so long: 120 when absent, at most 3600; in the background no limit when absent"),
  background: z
    .boolean()
    .optional()
    .describe("Answer at once with a command_id and let it run, e.g. a server; it ends with the session"),
  env: WireEnv.optional().describe("Variables added to the environment"),
  stdin: z
    .string()
    .max(1_048_576)
    .optional()
    .describe("Text for its standard input. In the background the input then stays open for send_input"),
});

const Output = z.strictObject({
  ...commandFields,
  command_id: z
    .string()
    .nullable()
    .describe("For command_output: set in the background, and where output was left out"),
  cwd: z.string().describe("Folder that it ran in"),
  duration_ms: z.int().describe("How long it ran so far, in milliseconds"),
  output: outputField,
  omitted_characters: z
    .int()
    .describe("Characters left out in the middle of output; command_output has them"),
});

type Input = z.output<typeof Input>;
type Answer = ToolAnswer<z.input<typeof Output>>;

/** Runs a line in the machine's shell. */
export const runCommand = defineTool({
  name: "run_command",
  title: "Run a command",
  description:
    "Runs a shell command line in the machine and gives its exit code and its output, stdout and stderr together. " +
    "Use background: true for what does not end by itself (servers, watchers), then command_output. " +
    "Each call is a new shell: folder and variables of the last one are gone.",
  input: Input,
  output: Output,
  hints: { idempotent: false, destructive: true },
  call: (input, call) => (input.background === true ? inBackground(input, call) : inForeground(input, call)),
});

async function inForeground(input: Input, call: ToolCall): Promise<Answer> {
  const limit = input.timeout_seconds ?? DEFAULT_SECONDS;
  if (limit > LONGEST_SECONDS) throw tooLong(limit);
  const { commands } = call.session;
  const started = await start(input, call, input.stdin !== undefined);
  started.process.input?.send(input.stdin ?? "");
  started.process.input?.end();
  const ended = await untilEnd(started, limit * 1000, call);
  if (ended === "aborted") {
    await commands.kill(started);
    call.signal.throwIfAborted();
  }
  const timedOut = ended === "timed-out";
  const end = timedOut ? await started.process.stop() : await started.process.ended;
  if (timedOut) await commands.sweep(started);
  if (end.kind === "lost" && !timedOut) throw lostCommand(end.reason);
  return answerOf(started, end, timedOut ? limit : null, call);
}

async function inBackground(input: Input, call: ToolCall): Promise<Answer> {
  const { commands } = call.session;
  using _beginning = commands.beginOne();
  const started = await start(input, call, input.stdin !== undefined);
  const kept = commands.keep(started, true);
  if (input.stdin !== undefined && input.stdin !== "") started.process.input?.send(input.stdin);
  if (input.timeout_seconds !== undefined) limitTime(kept, input.timeout_seconds * 1000);
  const { id, line } = kept;
  return {
    structured: {
      state: "running",
      exit_code: null,
      signal: null,
      command_id: id,
      cwd: line.cwd,
      duration_ms: 0,
      output: [],
      omitted_characters: 0,
    },
    text:
      `Runs in the background as "${id}", in ${line.cwd}. ` +
      `command_output with command_id "${id}" gives its output and state, stop_command ends it.`,
    program: programOf(line.command, started.shell),
    target: line.cwd,
  };
}

function limitTime(
  kept: { readonly process: StartedCommand["process"]; stopped: "asked" | "timed-out" | null },
  ms: number,
): void {
  const timer = setTimeout(() => {
    if (kept.process.end !== undefined) return;
    kept.stopped = "timed-out";
    void kept.process.stop();
  }, ms);
  void kept.process.ended.then(() => clearTimeout(timer));
}

async function start(input: Input, call: ToolCall, stdin: boolean): Promise<StartedCommand> {
  const { commands, door } = call.session;
  const cwd = posix.resolve(door.reach.workdir, input.cwd ?? ".");
  const line = { command: input.command, cwd, env: input.env ?? {}, stdin };
  return await commands.start(line, call.signal);
}

/** Waits for the end, the time limit or the caller, and tells the newest line meanwhile. */
async function untilEnd(
  { process }: StartedCommand,
  ms: number,
  call: ToolCall,
): Promise<"ended" | "timed-out" | "aborted"> {
  let timer: NodeJS.Timeout | undefined;
  let stop: () => void = () => undefined;
  const telling = setInterval(() => call.progress(progressOf(process)), PROGRESS_MS);
  try {
    return await Promise.race([
      process.ended.then(() => "ended" as const),
      new Promise<"timed-out">((resolve) => (timer = setTimeout(() => resolve("timed-out"), ms))),
      new Promise<"aborted">((resolve) => {
        stop = () => resolve("aborted");
        call.signal.addEventListener("abort", stop, { once: true });
        if (call.signal.aborted) stop();
      }),
    ]);
  } finally {
    clearTimeout(timer);
    clearInterval(telling);
    call.signal.removeEventListener("abort", stop);
  }
}

function progressOf({ output, durationMs }: StartedCommand["process"]): string {
  const line =
    textOf(output.page(output.total - 500, 500).parts)
      .trimEnd()
      .split("\n")
      .at(-1) ?? "";
  return line === "" ? seconds(durationMs) : `${seconds(durationMs)}: ${line.slice(-200)}`;
}

function answerOf(started: StartedCommand, end: CommandEnd, limit: number | null, call: ToolCall): Answer {
  const { process, line, shell } = started;
  const { commands } = call.session;
  const { parts, omitted, from } = shownOutput(process.output);
  const id = omitted > 0 ? commands.keep(started, false).id : null;
  const exitCode = exitCodeOf(end);
  const more =
    id === null
      ? ""
      : `\n[${String(omitted)} characters were left out in the middle; command_output with command_id "${id}" and cursor ${String(from)} gives them]`;
  return {
    structured: {
      state: limit === null ? end.kind : "timed-out",
      exit_code: exitCode,
      signal: end.kind === "signalled" ? end.signal : null,
      command_id: id,
      cwd: line.cwd,
      duration_ms: process.durationMs,
      output: [...parts],
      omitted_characters: omitted,
    },
    text: `[${endInWords(end, limit)}, ${seconds(process.durationMs)}, in ${line.cwd}]\n${textOf(parts)}${more}`,
    program: programOf(line.command, shell),
    target: line.cwd,
    // As a shell says it: evidence has null for a command that goes on in the background.
    exitCode: end.kind === "signalled" && limit === null ? 128 + numberOf(end.signal) : exitCode,
    ...(limit === null ? {} : { outcome: "timed-out" as const, code: "TIMED_OUT", failed: true }),
  };
}

function numberOf(signal: string): number {
  return Object.entries(constants.signals).find(([name]) => name === signal)?.[1] ?? 0;
}

function endInWords(end: CommandEnd, limit: number | null): string {
  if (limit !== null)
    return `timed out after ${String(limit)} s: it was killed with everything that it started; use a longer timeout_seconds, or background: true`;
  if (end.kind === "exited") return `exit code ${String(end.code)}`;
  return end.kind === "signalled" ? `killed by ${end.signal}` : "lost";
}

function shownOutput(output: StartedCommand["process"]["output"]): {
  parts: readonly OutputPart[];
  omitted: number;
  from: number;
} {
  const { total } = output;
  if (total <= ANSWER_CHARACTERS) return { parts: output.page(0, total).parts, omitted: 0, from: 0 };
  const head = output.head(HEAD_CHARACTERS);
  const tail = output.page(total - (ANSWER_CHARACTERS - HEAD_CHARACTERS), ANSWER_CHARACTERS);
  const omitted = total - (ANSWER_CHARACTERS - HEAD_CHARACTERS) - head.next;
  const mark: OutputPart = { stream: "mixed", text: `\n[... ${String(omitted)} characters left out ...]\n` };
  return { parts: [...head.parts, mark, ...tail.parts], omitted, from: head.next };
}

function tooLong(limit: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot run command for ${String(limit)} s: at most ${String(LONGEST_SECONDS)} s in the foreground`,
    hint: "Run it with background: true, and poll it with command_output",
  });
}
