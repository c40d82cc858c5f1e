import type { DoorRecord } from "@doorward/doors";
import type { EvidenceInput } from "@doorward/contracts";
import type { EvidenceLog } from "../evidence/index.ts";
import type { SessionOpened } from "../gateway/index.ts";

/** A record of a door as an evidence record: arguments become a keyed digest, because they may hold secrets. */
export function doorRecord(
  log: Pick<EvidenceLog, "argvDigest">,
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
  if (record.type === "terminal") {
    const { event, terminal, argv, exitCode, signal } = record;
    const argvDigest = argv === null ? null : log.argvDigest(argv);
    return {
      type: "terminal",
      ...common,
      event,
      terminal,
      program: argv === null ? null : programOf(argv),
      argvDigest,
      exitCode,
      signal,
    };
  }
  const { argv, cwd, outcome, exitCode, signal, stdoutBytes, stderrBytes, detail } = record;
  return {
    type: "command",
    ...common,
    program: programOf(argv),
    argvDigest: log.argvDigest(argv),
    argumentCount: argv.length,
    cwd,
    outcome,
    exitCode,
    signal,
    durationMs: Math.max(0, Math.round(record.durationMs)),
    stdoutBytes,
    stderrBytes,
    detail: detail?.slice(0, 500) ?? null,
  };
}

function programOf(argv: readonly string[]): string {
  return (argv[0]?.split("/").at(-1) ?? "").slice(0, 255) || "(empty)";
}
