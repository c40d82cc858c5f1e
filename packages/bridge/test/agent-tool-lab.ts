import {
  DEFAULT_AGENT_TOOL_DOOR,
  DEFAULT_TERMINAL_DOOR,
  DenialError,
  DoorwardError,
  type AgentToolDoorSpec,
  type HostActionResponse,
  type Operation,
} from "@doorward/contracts";
import {
  type ApprovalRequest,
  type DoorRecord,
  type DoorSession,
  type PendingQuestion,
  type ToolCallRecord,
} from "@doorward/doors";
import type { GuestDialer } from "@doorward/guest";
import { OpenAgentSession } from "../../doors/src/agent-tool/agent-session.ts";
import {
  createToolCaller,
  type CallOutcome,
  type ToolCaller,
} from "../../doors/src/agent-tool/tool-caller.ts";
import type { Tool } from "../../doors/src/agent-tool/tool.ts";
import { begunUnnoted } from "./begun-unnoted.ts";

export const ALL_OPERATIONS: readonly Operation[] = DEFAULT_AGENT_TOOL_DOOR.allowedOperations.filter(
  (each) => each !== "agent-tool.plugin",
);

/** A question that a session asked, and how the test decides it. */
export interface AskedHere {
  readonly id: string;
  readonly request: ApprovalRequest;
  readonly approve: () => void;
  readonly refuse: (rule?: string) => void;
  withdrawn: boolean;
}

/** One agent's session over a real guest: what it recorded and asked, and how it is cut. */
export interface AgentLab extends AsyncDisposable {
  readonly session: OpenAgentSession;
  readonly door: DoorSession;
  readonly caller: ToolCaller;
  readonly records: DoorRecord[];
  readonly asked: AskedHere[];
  /** Set to refuse the check of an operation at the moment of use. */
  checks: (operation: Operation) => void;
  calls(): ToolCallRecord[];
  call(name: string, given: unknown, signal?: AbortSignal): Promise<CallOutcome>;
  /** The structured answer of a call that must succeed. */
  answer(name: string, given: unknown): Promise<Record<string, unknown>>;
  revoke(): void;
}

export interface AgentLabOptions {
  readonly tools: readonly Tool[];
  readonly link: GuestDialer;
  readonly workdir: string;
  readonly subject?: string;
  readonly operations?: readonly Operation[];
  readonly spec?: Partial<AgentToolDoorSpec>;
  readonly capabilities?: readonly string[];
  readonly caller?: ToolCaller;
  readonly record?: (record: DoorRecord) => Promise<void>;
  readonly hostAction?: (
    request: unknown,
    signal: AbortSignal,
    onEvent?: (event: never) => void,
  ) => Promise<HostActionResponse>;
}

let count = 0;

export function agentLab(options: AgentLabOptions): AgentLab {
  count += 1;
  const over = new AbortController();
  const records: DoorRecord[] = [];
  const asked: AskedHere[] = [];
  const state = { checks: (_operation: Operation): void => undefined };
  const door: DoorSession = {
    id: `s_lab${String(count)}`,
    protocol: "http",
    query: "",
    announced: null,
    bytes: { take: () => true, give: () => undefined },
    machine: { id: "m_lab0000000", name: "lab" },
    subject: options.subject ?? "agent:codex:s1",
    grantId: "g_lab",
    kind: "agent",
    operations: new Set(options.operations ?? ALL_OPERATIONS),
    spec: DEFAULT_TERMINAL_DOOR,
    agentTool: { ...DEFAULT_AGENT_TOOL_DOOR, ...options.spec },
    reach: { workdir: options.workdir, folders: [{ path: "/", access: "rw" }], narrowed: false },
    capabilities: new Set(options.capabilities ?? []),
    tools: null,
    signal: over.signal,
    host: {
      check: (operation) => {
        over.signal.throwIfAborted();
        state.checks(operation);
      },
      dial: (open, signal) => {
        over.signal.throwIfAborted();
        return options.link.dial(open, AbortSignal.any([signal, over.signal]));
      },
      runningTerminals: () => Promise.resolve([]),
      record: async (record) => {
        await options.record?.(record);
        records.push(record);
      },
      begin() {
        return begunUnnoted((record) => this.record(record));
      },
      transcript: () => Promise.reject(new Error("no transcripts here")),
      approve: () => Promise.reject(new Error("not used")),
      ask: (request) => question(asked, request),
      hostAction: options.hostAction ?? (() => Promise.reject(new Error("no host here"))),
      requestEgress: () => Promise.reject(new Error("no host here")),
      onNotice: () => ({ [Symbol.dispose]: () => undefined }),
    },
  };
  const session = new OpenAgentSession(door, "http", () => Promise.reject(new Error("no files here")));
  const caller = options.caller ?? createToolCaller(options.tools);
  const call: AgentLab["call"] = (name, given, signal = new AbortController().signal) =>
    caller.call({
      session,
      name,
      arguments: given,
      client: { name: "Lab Client", version: "1" },
      signal,
      progress: () => undefined,
    });
  return {
    session,
    door,
    caller,
    records,
    asked,
    get checks() {
      return state.checks;
    },
    set checks(checks) {
      state.checks = checks;
    },
    calls: () => records.filter((record) => record.type === "tool-call"),
    call,
    answer: async (name, given) => {
      const outcome = await call(name, given);
      if (outcome.kind === "failed") throw new Error(`${outcome.code}: ${outcome.message}`);
      return outcome.answer.structured as Record<string, unknown>;
    },
    revoke: () => over.abort(new DoorwardError({ code: "GRANT_REVOKED", message: "The grant was revoked" })),
    [Symbol.asyncDispose]: async () => {
      over.abort(new DoorwardError({ code: "ABORTED", message: "The test ended" }));
      await session[Symbol.asyncDispose]();
    },
  };
}

function question(asked: AskedHere[], request: ApprovalRequest): PendingQuestion {
  let approve: (given: { id: string }) => void = () => undefined;
  let refuse: (error: Error) => void = () => undefined;
  const decided = new Promise<{ id: string }>((yes, no) => ([approve, refuse] = [yes, no]));
  decided.catch(() => undefined);
  const id = `a_lab000000${String(asked.length)}`;
  const here: AskedHere = {
    id,
    request,
    approve: () => approve({ id }),
    refuse: (rule = "approvals.operator") =>
      refuse(new DenialError({ code: "APPROVAL_DENIED", rule, message: "operator:ann refused it" })),
    withdrawn: false,
  };
  asked.push(here);
  const expiresAt = new Date(Date.now() + 600_000).toISOString();
  return { id, expiresAt, decided, [Symbol.dispose]: () => void (here.withdrawn = true) };
}
