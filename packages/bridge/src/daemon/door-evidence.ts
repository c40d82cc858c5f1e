import { MachinePath, type EvidenceInput } from "@doorward/contracts";
import type {
  CommandRecord,
  DoorBeginning,
  DoorRecord,
  ForwardRecord,
  TerminalRecord,
  ToolCallRecord,
} from "@doorward/doors";
import type { EvidenceLog } from "../evidence/index.ts";
import type { SessionOpened } from "../gateway/index.ts";
import type { LostRecord } from "../in-flight/index.ts";

/** What makes digests that can't be guessed back. */
export type DoorDigests = Pick<EvidenceLog, "argvDigest" | "keyedDigest">;

/** How something ends whose bridge is lost before its end: nobody knows. */
const LOST = { outcome: "bridge-lost", durationMs: 0 } as const;

/** A record of a door as an evidence record: arguments and results become keyed digests, because they may hold secrets. */
export function doorRecord(
  log: DoorDigests,
  session: SessionOpened,
  policyHash: string,
  record: DoorRecord,
): EvidenceInput {
  const common = commonPart(session, policyHash, record);
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

/** The record of what a door begins, as it is when the bridge is lost before its end. */
export function lostRecord(
  log: DoorDigests,
  session: SessionOpened,
  policyHash: string,
  beginning: DoorBeginning,
): LostRecord {
  const common = {
    ...commonPart(session, policyHash, beginning),
    ...LOST,
    beganAt: new Date().toISOString(),
  };
  switch (beginning.type) {
    case "command":
      return { type: "command", ...common, ...startPart(log, beginning), ...noEnd, detail: null };
    case "forward":
      return { type: "forward", ...common, port: beginning.port, code: "BRIDGE_LOST" };
    case "tool-call":
      return { type: "tool-call", ...common, door: session.door, ...callPart(log, beginning), ...noResult };
  }
}

const noEnd = { exitCode: null, signal: null, stdoutBytes: 0, stderrBytes: 0 } as const;
const noResult = { code: "BRIDGE_LOST", result: null, resultBytes: 0, exitCode: null } as const;

function commonPart(session: SessionOpened, policyHash: string, { execution }: DoorBeginning | DoorRecord) {
  const { correlationId, subject, machine, grant, session: id } = session;
  return { correlationId, subject, machine, grant, policyHash, session: id, execution };
}

function terminalPart(log: DoorDigests, { event, terminal, argv, exitCode, signal }: TerminalRecord) {
  const argvDigest = argv === null ? null : log.argvDigest(argv);
  return { event, terminal, program: argv === null ? null : programOf(argv), argvDigest, exitCode, signal };
}

function commandPart(log: DoorDigests, record: CommandRecord) {
  const { outcome, exitCode, signal, stdoutBytes, stderrBytes, detail } = record;
  return {
    ...startPart(log, record),
    outcome,
    exitCode,
    signal,
    durationMs: whole(record.durationMs),
    stdoutBytes,
    stderrBytes,
    detail: detail?.slice(0, 500) ?? null,
  };
}

function startPart(
  log: DoorDigests,
  { argv, program, cwd }: Pick<CommandRecord, "argv" | "program" | "cwd">,
) {
  const argvDigest = log.argvDigest(argv);
  return { program: program ?? programOf(argv), argvDigest, argumentCount: argv.length, cwd };
}

function forwardPart({ port, outcome, code, durationMs }: ForwardRecord) {
  return { port, outcome, code, durationMs: whole(durationMs) };
}

function toolCallPart(log: DoorDigests, record: ToolCallRecord) {
  const { outcome, code, exitCode, result } = record;
  return {
    ...callPart(log, record),
    ...{ outcome, code, exitCode },
    result: result === null ? null : log.keyedDigest(result),
    resultBytes: result === null ? 0 : Buffer.byteLength(result),
    durationMs: whole(record.durationMs),
  };
}

function callPart(log: DoorDigests, call: Extract<DoorBeginning, { readonly type: "tool-call" }>) {
  const { tool, effect, client, transport, registryGrant, approval } = call;
  return {
    ...{ tool, effect, client, transport, registryGrant, approval },
    arguments: argumentsDigest(log, call.arguments ?? null),
    program: call.program?.slice(0, 255) ?? null,
    target: targetOf(call.target),
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
