import type { ToolName } from "@doorward/contracts";
import type { AgentSession, ClientInfo } from "./agent-session.ts";
import type { Tool, ToolAnswer } from "./tool.ts";

/** A call of a tool as a transport received it. */
export interface CallRequest {
  readonly session: AgentSession;
  readonly name: string;
  /** Not checked yet. */
  readonly arguments: unknown;
  readonly client: ClientInfo | null;
  readonly signal: AbortSignal;
  progress(message: string): void;
}

/** What became of a call: an answer, or a failure in words for a model. It never throws but for faults of ours. */
export type CallOutcome =
  | { readonly kind: "answered"; readonly answer: ToolAnswer<unknown> }
  /** Refused or failed: code, what happened, and what to do next. */
  | {
      readonly kind: "failed";
      readonly code: string;
      readonly message: string;
      readonly hint: string | null;
    };

/** The one way to a tool for every transport: grant, allowance, shape, approval, call, evidence, in this order. */
export interface ToolCaller {
  /** Tools that the session may call now, in a fixed order. */
  list(session: AgentSession, client: ClientInfo | null): readonly Tool[];
  /** Calls one; the grant is checked at this moment, and the record is appended before the outcome is given back. */
  call(request: CallRequest): Promise<CallOutcome>;
  /** A tool by name; undefined for none. */
  find(name: ToolName): Tool | undefined;
}
