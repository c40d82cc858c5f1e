import { randomBytes } from "node:crypto";
import {
  createRequestStateCodec,
  inputRequired,
  inputResponse,
  type McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { says, text } from "./conformance-content.ts";

const codec = createRequestStateCodec<{ step: number }>({ key: randomBytes(32), ttlSeconds: 60 });

/** Checks what the client gives back as the state of a call. */
export const verifyState = codec.verify.bind(codec);

const asked = (property: string, type = "string"): never =>
  ({ type: "object", properties: { [property]: { type } }, required: [property] }) as never;

const elicit = (message: string, property: string, type?: string): never =>
  inputRequired.elicit({ message, requestedSchema: asked(property, type) }) as never;

const sample = (question: string, maxTokens = 100): never =>
  inputRequired.createMessage({
    messages: [{ role: "user", content: text(question) }],
    maxTokens,
  }) as never;

/** Tools and a prompt that ask the client for something before they answer. */
export function registerAskingTools(mcp: McpServer): void {
  const tool = (name: string, run: (context: ServerContext) => unknown): void => {
    mcp.registerTool(name, { description: `Fixture ${name}` }, (context) => run(context) as never);
  };
  const given = ({ mcpReq }: ServerContext, key: string): unknown => mcpReq.inputResponses?.[key];
  const content = (context: ServerContext, key: string): Record<string, unknown> | undefined => {
    const view = inputResponse(context.mcpReq.inputResponses, key);
    return view.kind === "elicit" && view.action === "accept" ? (view.content ?? {}) : undefined;
  };

  tool("test_missing_capability", () => inputRequired({ inputRequests: { question: sample("Anything?") } }));
  const askName = { user_name: elicit("What is your name?", "name") };
  tool("test_streaming_elicitation", (context) => {
    const answer = content(context, "user_name");
    return answer === undefined ? inputRequired({ inputRequests: askName }) : says("ok");
  });
  tool("test_input_required_result_elicitation", (context) => {
    const name = content(context, "user_name")?.["name"];
    if (typeof name !== "string") return inputRequired({ inputRequests: askName });
    return says(`Hello, ${name}!`);
  });
  tool("test_input_required_result_sampling", (context) => {
    const answer = given(context, "capital_question");
    if (answer === undefined)
      return inputRequired({ inputRequests: { capital_question: sample("What is the capital of France?") } });
    return says(JSON.stringify(answer));
  });
  tool("test_input_required_result_list_roots", (context) => {
    const roots = given(context, "client_roots");
    if (roots === undefined)
      return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    return says(JSON.stringify(roots));
  });
  tool("test_input_required_result_capabilities", ({ mcpReq }) => {
    const { elicitation, sampling } = declared(mcpReq);
    const inputRequests = {
      ...(elicitation === undefined ? {} : askName),
      ...(sampling === undefined ? {} : { greeting: sample("Generate a greeting", 50) }),
    };
    return Object.keys(inputRequests).length === 0
      ? says("nothing to ask")
      : inputRequired({ inputRequests });
  });
  stateful(tool, content, given);
  mcp.registerPrompt("test_input_required_result_prompt", { description: "Asks" }, (context) => {
    const found = content(context, "user_context")?.["context"];
    const ask = { user_context: elicit("What context should the prompt use?", "context") };
    if (found === undefined) return inputRequired({ inputRequests: ask });
    return { messages: [{ role: "user", content: text(`Use ${JSON.stringify(found)}`) }] } as never;
  });
  tool("test_elicitation", () => inputRequired({ inputRequests: askName }));
  mcp.registerTool(
    "test_sampling",
    { description: "Asks the model of the client", inputSchema: z.object({ prompt: z.string() }) },
    ({ prompt }) => inputRequired({ inputRequests: { prompt: sample(prompt) } }) as never,
  );
}

function stateful(
  tool: (name: string, run: (context: ServerContext) => unknown) => void,
  content: (context: ServerContext, key: string) => Record<string, unknown> | undefined,
  given: (context: ServerContext, key: string) => unknown,
): void {
  const step = ({ mcpReq }: ServerContext): number => mcpReq.requestState<{ step: number }>()?.step ?? 0;
  const confirm = { confirm: elicit("Please confirm", "ok", "boolean") };
  for (const name of ["request_state", "tampered_state"]) {
    tool(`test_input_required_result_${name}`, async (context) => {
      if (step(context) === 1 && content(context, "confirm") !== undefined) return says("state-ok");
      return inputRequired({ inputRequests: confirm, requestState: await codec.mint({ step: 1 }, context) });
    });
  }
  tool("test_input_required_result_multiple_inputs", async (context) => {
    const keys = ["user_name", "greeting", "client_roots"];
    if (step(context) === 1 && keys.every((key) => given(context, key) !== undefined))
      return says("all there");
    return inputRequired({
      inputRequests: {
        user_name: elicit("What is your name?", "name"),
        greeting: sample("Generate a greeting", 50),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await codec.mint({ step: 1 }, context),
    });
  });
  tool("test_input_required_result_multi_round", async (context) => {
    const done = step(context);
    if (done === 2 && content(context, "step2") !== undefined) return says("all steps done");
    const next = done === 1 && content(context, "step1") !== undefined ? 2 : 1;
    const ask =
      next === 1
        ? { step1: elicit("Step 1: What is your name?", "name") }
        : { step2: elicit("Step 2: What is your favorite color?", "color") };
    return inputRequired({ inputRequests: ask, requestState: await codec.mint({ step: next }, context) });
  });
}

function declared({ envelope }: ServerContext["mcpReq"]): { elicitation?: unknown; sampling?: unknown } {
  const found: unknown = Reflect.get(envelope ?? {}, "io.modelcontextprotocol/clientCapabilities");
  return found ?? {};
}
