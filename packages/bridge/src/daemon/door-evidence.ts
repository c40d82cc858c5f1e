import { MachinePath, type EvidenceInput } from "@doorward/contracts";
import type {
  CommandRecord,
  DoorRecord,
  ForwardRecord,
  TerminalRecord,
  ToolCallRecord,
} from "@doorward/doors";
import type { EvidenceLog } from "../evidence/index.ts";
import type { SessionOpened } from "../gateway/index.ts";

/** What makes digests that can't be guessed back. */
export type DoorDigests = Pick<EvidenceLog, "argvDigest" | "keyedDigest">;

/** A record of a door as an evidence record: arguments and results become keyed digests, because they may hold secrets. */
export function doorRecord(
  log: DoorDigests,
  session: SessionOpened,
  policyHash: string,
  record: DoorRecord,
): EvidenceInput {
  const common = {
    correlationId: session.correlationId,
    subject: session.subject,
    machine: session.machine,
    grant: session.grant,
    policyHash,
    session: session.session,
    execution: record.execution,
  };
  switch (record.type) {
    case "terminal":
      return { type: "terminal", ...common, ...terminalPart(log, record) };
    case "command":
      return { type: "command", ...common, ...commandPart(log, record) };
    case "forward":
      return { type: "forward", ...common, ...forwardPart(record) };
    case "tool-call":
      return { type: "tool-call", ...common, door: session.door, ...toolCallPart(log, record) };
  }
}

function terminalPart(log: DoorDigests, { event, terminal, argv, exitCode, signal }: TerminalRecord) {
  const argvDigest = argv === null ? null : log.argvDigest(argv);
  return { event, terminal, program: argv === null ? null : programOf(argv), argvDigest, exitCode, signal };
}

function commandPart(log: DoorDigests, record: CommandRecord) {
  const { argv, program, cwd, outcome, exitCode, signal, stdoutBytes, stderrBytes, detail } = record;
  return {
    program: program ?? programOf(argv),
    argvDigest: log.argvDigest(argv),
    argumentCount: argv.length,
    cwd,
    outcome,
    exitCode,
    signal,
    durationMs: whole(record.durationMs),
    stdoutBytes,
    stderrBytes,
    detail: detail?.slice(0, 500) ?? null,
  };
}

function forwardPart({ port, outcome, code, durationMs }: ForwardRecord) {
  return { port, outcome, code, durationMs: whole(durationMs) };
}

function toolCallPart(log: DoorDigests, record: ToolCallRecord) {
  const { tool, effect, client, transport, registryGrant, outcome, code, exitCode, approval, result } =
    record;
  return {
    ...{ tool, effect, client, transport, registryGrant, outcome, code, exitCode, approval },
    arguments: argumentsDigest(log, record.arguments ?? null),
    program: record.program?.slice(0, 255) ?? null,
    target: targetOf(record.target),
    result: result === null ? null : log.keyedDigest(result),
    resultBytes: result === null ? 0 : Buffer.byteLength(result),
    durationMs: whole(record.durationMs),
  };
}

/** Digest of the canonical JSON of what a client sent; of what is no proper JSON text, of how it is written down. */
function argumentsDigest(log: DoorDigests, given: unknown): string {
  try {
    return log.keyedDigest(given);
  } catch {
    return log.keyedDigest(Buffer.from(JSON.stringify(given)));
  }
}

function programOf(argv: readonly string[]): string {
  return (argv[0]?.split("/").at(-1) ?? "").slice(0, 255) || "(empty)";
}

/** A path as records keep it; one with control characters is not repeated. */
function targetOf(path: string | null): string | null {
  return path !== null && MachinePath.safeParse(path).success ? path : null;
}

function whole(milliseconds: number): number {
  return Math.max(0, Math.round(milliseconds));
}
