import { posix } from "node:path";
import { AGENT_TOOLS, DenialError, DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { DoorBeginning, ToolCallRecord } from "../door.ts";
import type { AgentSession, ClientInfo } from "./agent-session.ts";
import { programOf } from "./commands/program-of.ts";
import type { Tool, ToolAnswer } from "./tool.ts";

/** What every record of a call says. */
export interface CallFacts {
  readonly session: AgentSession;
  readonly tool: Tool;
  readonly client: ClientInfo | null;
  /** As the client sent them. */
  readonly arguments: unknown;
  /** What it is about, as far as its arguments say; what an answer says comes first. */
  readonly object: CallObject;
  readonly registryGrant: string | null;
  readonly approval: string | null;
  readonly durationMs: number;
}

/** The program that a call runs or the path that it works on. */
export interface CallObject {
  readonly program: string | null;
  readonly target: string | null;
}

/** What a call is about, by its arguments: nothing of what acts on the host, whose actions have records of their own. */
export function objectOf(tool: Tool, input: Readonly<Record<string, unknown>>, workdir: string): CallObject {
  const { path, command, cwd } = input;
  if (AGENT_TOOLS[tool.name].effect === "acts") return { program: null, target: null };
  const program = typeof command === "string" ? programOf(command, "sh") : null;
  const place = program === null ? (tool.target ?? path) : (cwd ?? ".");
  return { program, target: typeof place === "string" ? posix.resolve(workdir, place) : null };
}

/** What is noted of a call before it runs. */
export function beginningOf(facts: CallFacts): DoorBeginning {
  const { durationMs: _durationMs, ...common } = commonOf(facts);
  return { ...common, ...facts.object, approval: facts.approval };
}

/** The record of a call that answered. */
export function answeredRecord(facts: CallFacts, answer: ToolAnswer<object>): ToolCallRecord {
  return {
    ...commonOf(facts),
    result: answer.outcome === "pending" ? null : JSON.stringify(answer.structured),
    program: answer.program ?? facts.object.program,
    target: answer.target ?? facts.object.target,
    outcome: answer.outcome ?? (answer.failed === true ? "failed" : "completed"),
    code: answer.code ?? null,
    exitCode: answer.exitCode ?? null,
    approval: facts.approval ?? answer.approval ?? null,
  };
}

/** The record of a call that threw. */
export function thrownRecord(facts: CallFacts, thrown: unknown, ended: CallEnd): ToolCallRecord {
  const error = toDoorwardError(thrown);
  return {
    ...commonOf(facts),
    result: null,
    program: facts.object.program,
    target: facts.object.target ?? targetOf(error),
    outcome: ended ?? outcomeOf(error),
    code: error.code,
    exitCode: null,
    approval: facts.approval,
  };
}

/** Why a call did not get to its end: its session was cut, or whoever called cancelled it; null for neither. */
export type CallEnd = "cut" | "cancelled" | null;

function outcomeOf(error: DoorwardError): ToolCallRecord["outcome"] {
  if (error.code === "TIMED_OUT") return "timed-out";
  return error instanceof DenialError ? "refused" : "failed";
}

function commonOf(facts: CallFacts) {
  const { session, tool, client, registryGrant, durationMs } = facts;
  return {
    type: "tool-call",
    execution: session.door.kind,
    tool: tool.recordedAs ?? tool.name,
    effect: AGENT_TOOLS[tool.name].effect,
    client: clientName(client),
    transport: session.transport,
    registryGrant,
    arguments: facts.arguments ?? {},
    durationMs,
  } as const;
}

/** A client's own name in the form of evidence; null when nothing is left of it. */
function clientName(client: ClientInfo | null): string | null {
  const name = (client?.name ?? "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, "-")
    .replace(/^[.-]+/, "")
    .slice(0, 40);
  return name === "" ? null : name;
}

function targetOf({ details }: DoorwardError): string | null {
  const path = details?.["path"];
  return typeof path === "string" ? path : null;
}
