import type { ToolName } from "@doorward/contracts";
import type { Expectation } from "@doorward/guest";
import * as z from "zod";
import type { AgentSession } from "./agent-session.ts";

/** What a call of a tool is given beside its arguments. */
export interface ToolCall {
  readonly session: AgentSession;
  /** Aborts when the caller cancels, goes away, or may not go on. */
  readonly signal: AbortSignal;
  /** The file that the operator was shown, where he was asked about this call; null otherwise. */
  readonly shown: ShownFile | null;
  /** Tells the caller how far it came; lost where the caller did not ask for it. */
  progress(message: string): void;
  /**
   * The answer for a call whose effect waits for the operator: at once that it waits, and by check_approval what `work`
   * answers in the end. APPROVAL_DENIED of `work` is a refusal; the same call is not asked about again for a while.
   */
  pend(question: AskedQuestion, work: Promise<ToolAnswer<object>>): ToolAnswer<PendingAnswer>;
}

/** A question to the operator, as he sees it. */
export interface AskedQuestion {
  readonly id: string;
  /** When it is refused by itself, RFC 3339. */
  readonly expiresAt: string;
}

/** What a call answers that waits for the operator. */
export interface PendingAnswer {
  readonly machine: string;
  readonly status: "pending";
  readonly approval_id: string;
  readonly expires_at: string;
  readonly message: string;
}

/** A picture in an answer, for models that see. */
export interface ToolImage {
  readonly mimeType: string;
  readonly base64: string;
}

/** What a tool answers. */
export interface ToolAnswer<Output> {
  /** The structured result; it has the shape of the tool's output schema. */
  readonly structured: Output;
  /** The same for models that read text alone; short, complete, and saying what to do next where something is left out. */
  readonly text: string;
  readonly images?: readonly ToolImage[];
  /** Files in the machine that the answer is about, as absolute paths; they become resource links. */
  readonly files?: readonly string[];
  /** Whether the model should treat it as a failure, e.g. a command that could not be found. */
  readonly failed?: boolean;
  /** For the evidence: basename of a program that ran, the path worked on, an exit code. */
  readonly program?: string;
  readonly target?: string;
  readonly exitCode?: number | null;
  /** How it ended where `failed` does not tell; an error code beside it. */
  readonly outcome?: "pending" | "timed-out";
  readonly code?: string;
  /** Id of the approval that it waits for or ran under. */
  readonly approval?: string;
}

/** A file as the operator was shown it; a call that he approved changes this one alone. */
export interface ShownFile {
  /** Absolute path, links resolved where something is there. */
  readonly path: string;
  readonly expect: Expectation;
}

/** What the operator is shown of a call. */
export interface ShownEffect {
  /** The full effect line by line. */
  readonly lines: readonly string[];
  /** What it was worked out from; null for what no file decides. */
  readonly file: ShownFile | null;
}

/** One tool of the door: what models read of it, and what it does. Operation and effect stand in `AGENT_TOOLS`. */
export interface Tool<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodObject = z.ZodObject> {
  readonly name: ToolName;
  /** What evidence calls it, where it is no tool for models but judged like the one of its name; its name when absent. */
  readonly recordedAs?: string;
  /** Absolute path that each call of it is about; what its arguments say when absent. */
  readonly target?: string;
  readonly title: string;
  /** Two or three short sentences for a model: what it does, when to use it, what it gives back. */
  readonly description: string;
  readonly input: Input;
  readonly output: Output;
  /** Hints of MCP's tool annotations that its effect does not tell by itself. */
  readonly hints: { readonly idempotent: boolean; readonly destructive: boolean };
  /** Whether the session has it at all, beside its operation; always when absent. */
  readonly offered?: (session: AgentSession) => boolean;
  /** What the operator is shown who is asked about it; its arguments one by one when absent. */
  readonly effect?: (input: z.output<Input>, session: AgentSession) => Promise<ShownEffect>;
  call(input: z.output<Input>, call: ToolCall): Promise<ToolAnswer<object>>;
}

/** A tool as its own file tells of it: nothing in it names the machine yet. */
interface ToolDefinition<Input extends z.ZodObject, Output extends z.ZodObject> extends Omit<
  Tool<Input, Output>,
  "call"
> {
  call(input: z.output<Input>, call: ToolCall): Promise<ToolAnswer<z.input<Output>>>;
}

/**
 * The machine of an answer. It stands in every structured one, because clients that give these to their model, as Codex
 * does, leave out the text beside them.
 */
const machineField = z.string().describe("The machine that the call is about");

/** What a tool answers, with the machine. */
type Named<Output extends z.ZodObject> = z.ZodObject<
  { machine: typeof machineField } & Output["shape"],
  z.core.$strict
>;

/** Makes a tool, with the types of its schemas checked against each other; its answers name the machine. */
export function defineTool<Input extends z.ZodObject, Output extends z.ZodObject>(
  definition: ToolDefinition<Input, Output>,
): Tool<Input, Named<Output>> {
  return {
    ...definition,
    output: z.strictObject({ machine: machineField, ...definition.output.shape }),
    call: async (input, call) => {
      const { name } = call.session.door.machine;
      const pend: ToolCall["pend"] = (question, work) =>
        call.pend(
          question,
          work.then((answer) => namedIn(name, answer)),
        );
      return namedIn(name, await definition.call(input, { ...call, pend }));
    },
  };
}

function namedIn(machine: string, answer: ToolAnswer<object>): ToolAnswer<object> {
  return { ...answer, structured: { machine, ...answer.structured } };
}
