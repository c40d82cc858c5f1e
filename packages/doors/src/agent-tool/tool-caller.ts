import { AGENT_TOOLS, isToolName, type ToolName } from "@doorward/contracts";
import type { AgentSession, ClientInfo } from "./agent-session.ts";
import { allowanceOf, waitsForOperator } from "./allowance.ts";
import { noSuchTool, failureOf } from "./call-failure.ts";
import { mayPend } from "./pending-answer.ts";
import { RefusedCalls } from "./refused-calls.ts";
import { CALL_LIMITS, RunningCalls, type CallLimits } from "./running-calls.ts";
import { OneCall } from "./one-call.ts";
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
  | { readonly kind: "answered"; readonly answer: ToolAnswer<object> }
  /** Refused or failed: code, what happened, and what to do next. */
  | {
      readonly kind: "failed";
      readonly code: string;
      readonly message: string;
      readonly hint: string | null;
    };

/** The one way to a tool for every transport: grant, allowance, shape, approval, call, evidence, in this order. */
export interface ToolCaller {
  /**
   * Tools that the session may call now, in a fixed order; their schemas are those of this session, where the answer of
   * a tool may say that its call waits for the operator.
   */
  list(session: AgentSession): readonly Tool[];
  /** Calls one; the grant is checked at this moment, and the record is durable before the outcome is given back. */
  call(request: CallRequest): Promise<CallOutcome>;
  /** Calls what no model is offered, judged as the tool of its name is. */
  perform(tool: Tool, request: Omit<CallRequest, "name">): Promise<CallOutcome>;
  /** A tool by name; undefined for none. */
  find(name: ToolName): Tool | undefined;
}

/** Makes the way to some tools. */
export function createToolCaller(tools: readonly Tool[], limits: CallLimits = CALL_LIMITS): ToolCaller {
  return new ToolCalls(tools, limits);
}

class ToolCalls implements ToolCaller {
  readonly #tools: ReadonlyMap<ToolName, Tool>;
  readonly #pending: ReadonlyMap<ToolName, Tool>;
  readonly #running: RunningCalls;
  readonly #refused = new RefusedCalls();

  constructor(tools: readonly Tool[], limits: CallLimits) {
    this.#tools = new Map(tools.map((tool) => [tool.name, tool]));
    this.#pending = new Map(tools.map((tool) => [tool.name, asksItself(tool) ? tool : mayPend(tool)]));
    this.#running = new RunningCalls(limits);
  }

  list(session: AgentSession): readonly Tool[] {
    const { agentTool } = session.door;
    return [...this.#tools.values()]
      .filter(({ name, offered }) => allowanceOf(session.door, name).allowed && (offered?.(session) ?? true))
      .map((tool) =>
        waitsForOperator(agentTool, tool.name) ? (this.#pending.get(tool.name) ?? tool) : tool,
      );
  }

  find(name: ToolName): Tool | undefined {
    return this.#tools.get(name);
  }

  async call(request: CallRequest): Promise<CallOutcome> {
    const tool = isToolName(request.name) ? this.#tools.get(request.name) : undefined;
    if (tool === undefined) return failureOf(noSuchTool(request.name, "there is no such tool"));
    return await this.perform(tool, request);
  }

  async perform(tool: Tool, request: Omit<CallRequest, "name">): Promise<CallOutcome> {
    const shared = { running: this.#running, refused: this.#refused };
    return await new OneCall(tool, request, shared).perform();
  }
}

/** Whether what a tool does is confirmed where it is done, so that its call need not ask before. */
function asksItself({ name }: Pick<Tool, "name">): boolean {
  return AGENT_TOOLS[name].effect === "acts";
}
