import { AGENT_TOOLS, DenialError, DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { ToolCallRecord } from "../door.ts";
import type { AgentSession, ClientInfo } from "./agent-session.ts";
import type { Tool, ToolAnswer } from "./tool.ts";

/** What every record of a call says. */
export interface CallFacts {
  readonly session: AgentSession;
  readonly tool: Tool;
  readonly client: ClientInfo | null;
  /** As the client sent them. */
  readonly arguments: unknown;
  readonly registryGrant: string | null;
  readonly approval: string | null;
  readonly durationMs: number;
}

/** The record of a call that answered. */
export function answeredRecord(facts: CallFacts, answer: ToolAnswer<unknown>): ToolCallRecord {
  return {
    ...commonOf(facts),
    result: answer.outcome === "pending" ? null : JSON.stringify(answer.structured),
    program: answer.program ?? null,
    target: answer.target ?? null,
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
    program: null,
    target: targetOf(error),
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
    tool: tool.name,
    effect: AGENT_TOOLS[tool.name].effect,
    client: clientName(client),
    transport: session.transport,
    registryGrant,
    arguments: facts.arguments ?? {},
    durationMs,
  } as const;
}

/** A client's own name in the form of evidence; null when nothing is left of it. */
export function clientName(client: ClientInfo | null): string | null {
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
