import { DenialError, type Operation, type TerminalHello } from "@doorward/contracts";
import type { DoorSession } from "../door.ts";

/** What a terminal session may do, decided once at its hello; typing is checked again at every keystroke. */
export interface TerminalRights {
  readonly mode: "control" | "observe";
  /** Whether the grant holds `terminal.input`. */
  readonly input: boolean;
}

/** Judges a terminal's hello against the grant and the machine's profile. */
export function authoriseTerminal(session: DoorSession, hello: TerminalHello): TerminalRights {
  const { attach, transcript } = session.spec;
  const captured = transcript.capture === "off" ? "off" : "on";
  if (hello.transcript !== undefined && hello.transcript !== captured)
    throw notOffered("transcript.capture", `the profile says that transcripts are "${captured}"`);
  if (!attach.allowed) throw notOffered("attach.allowed", "the profile allows no terminals");
  if (hello.mode === "observe") {
    if ("new" in hello.terminal) throw notOffered("observe", "an observer can't create a terminal");
    session.host.check("terminal.observe");
    if (!attach.observers) throw notOffered("attach.observers", "the profile allows no observers");
    if (session.kind === "agent" && attach.agents === "deny")
      throw notOffered("attach.agents", "the profile lets nobody but the operator watch terminals");
    return { mode: "observe", input: false };
  }
  session.host.check("terminal.attach");
  if (session.kind === "agent" && attach.agents !== "control")
    throw notOffered("attach.agents", "the profile lets nobody but the operator attach terminals");
  // A program of one's own choosing, or variables that a shell runs, are as good as typing.
  if (choosesProgram(hello)) session.host.check("terminal.input");
  return { mode: "control", input: session.operations.has("terminal.input") };
}

function choosesProgram({ terminal }: TerminalHello): boolean {
  if (!("new" in terminal)) return false;
  return terminal.new.argv !== undefined || Object.keys(terminal.new.env ?? {}).length > 0;
}

/** Judges a command: operators and agents have an operation each. */
export function authoriseExec(session: DoorSession): void {
  const operation: Operation = session.kind === "agent" ? "terminal.agent-exec" : "terminal.exec";
  session.host.check(operation);
  if (session.spec.execution[session.kind]) return;
  throw notOffered(`execution.${session.kind}`, `the profile lets no ${session.kind} run commands`);
}

/** Judges a connection to a port: what runs in the machine is reached only where people may be in it. */
export function authoriseForward(session: DoorSession): void {
  session.host.check("terminal.forward");
  if (!session.spec.attach.allowed)
    throw notOffered("attach.allowed", "the profile lets nobody reach its ports");
}

function notOffered(rule: string, why: string): DenialError {
  return new DenialError({
    code: "DOOR_NOT_OFFERED",
    rule: `profile.doors.terminal.${rule}`,
    message: `Cannot open door "terminal": ${why}`,
  });
}
