import { setTimeout as delay } from "node:timers/promises";
import {
  completable,
  fromJsonSchema,
  McpServer,
  ResourceTemplate,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { audio, image, PNG, says, SCHEMA_2020, text } from "./conformance-content.ts";
import { registerAskingTools, verifyState } from "./conformance-asking.ts";

/** What the conformance suite looks for behind a server, by the names that it looks for. */
export function conformanceServer(): McpServer {
  const mcp = new McpServer(
    { name: "conformance-fixture", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged: false },
        prompts: { listChanged: false },
        resources: { listChanged: false, subscribe: true },
        logging: {},
        completions: {},
      },
      requestState: { verify: verifyState },
    },
  );
  registerTools(mcp);
  registerAskingTools(mcp);
  registerResources(mcp);
  registerPrompts(mcp);
  return mcp;
}

function log(mcpReq: ServerContext["mcpReq"], message: string): Promise<void> {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the revisions before the newest have it, and the suite asks for it
  return mcpReq.log("info", message);
}

function registerTools(mcp: McpServer): void {
  const plain = (name: string, run: (context: ServerContext) => unknown): void => {
    mcp.registerTool(name, { description: `Fixture ${name}` }, (context) => run(context) as never);
  };
  plain("test_simple_text", () => says("This is a simple text response for testing."));
  plain("test_image_content", () => ({ content: [image] }));
  plain("test_audio_content", () => ({ content: [audio] }));
  plain("test_embedded_resource", () => ({
    content: [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
  }));
  plain("test_multiple_content_types", () => ({
    content: [
      text("Multiple content types test:"),
      image,
      embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
  }));
  plain("test_error_handling", () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  plain("test_tool_with_logging", async ({ mcpReq }) => {
    await log(mcpReq, "Tool execution started");
    await delay(50);
    await log(mcpReq, "Tool processing data");
    await delay(50);
    await log(mcpReq, "Tool execution completed");
    return says("logged");
  });
  plain("test_logging_tool", async ({ mcpReq }) => {
    await log(mcpReq, "Told only to those who ask for it");
    return says("logged");
  });
  plain("test_tool_with_progress", async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      const params = { progressToken: progressToken ?? 0, progress, total: 100 };
      if (progressToken !== undefined) await mcpReq.notify({ method: "notifications/progress", params });
      await delay(50);
    }
    return says("done");
  });
  mcp.registerTool(
    "json_schema_2020_12_tool",
    {
      description: "Tool with JSON Schema 2020-12 features",
      inputSchema: fromJsonSchema(SCHEMA_2020 as never),
    },
    () => says("ok") as never,
  );
  mcp.registerTool(
    "test_x_mcp_header",
    {
      description: "Tool whose argument travels in a header too",
      inputSchema: fromJsonSchema({
        type: "object",
        properties: { region: { type: "string", "x-mcp-header": "Region" } },
        required: ["region"],
      } as never),
    },
    () => says("ok") as never,
  );
}

function registerResources(mcp: McpServer): void {
  const staticText = "This is the content of the static text resource.";
  const add = (name: string, uri: string, contents: object): void => {
    mcp.registerResource(name, uri, { description: `Fixture ${name}` }, () => ({
      contents: [{ uri, ...contents } as never],
    }));
  };
  add("static-text", "test://static-text", { mimeType: "text/plain", text: staticText });
  add("static-binary", "test://static-binary", { mimeType: "image/png", blob: PNG });
  add("watched", "test://watched-resource", { mimeType: "text/plain", text: "watched" });
  mcp.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { description: "Fixture template", mimeType: "application/json" },
    (uri, { id }) => ({
      contents: [
        {
          uri: uri.href,
          mimeType: "application/json",
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` }),
        },
      ],
    }),
  );
  mcp.server.setRequestHandler("resources/subscribe", () => ({}));
  mcp.server.setRequestHandler("resources/unsubscribe", () => ({}));
}

function registerPrompts(mcp: McpServer): void {
  const user = (content: object): never => ({ role: "user", content }) as never;
  mcp.registerPrompt("test_simple_prompt", { description: "Simple" }, () => ({
    messages: [user(text("This is a simple prompt for testing."))],
  }));
  const word = (): z.ZodString => z.string().describe("An argument");
  mcp.registerPrompt(
    "test_prompt_with_arguments",
    {
      description: "With arguments",
      argsSchema: z.object({
        arg1: completable(word(), (given) =>
          ["paris", "park", "party"].filter((one) => one.startsWith(given)),
        ),
        arg2: word(),
      }),
    },
    ({ arg1, arg2 }) => ({
      messages: [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
    }),
  );
  mcp.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "With a resource", argsSchema: z.object({ resourceUri: word() }) },
    ({ resourceUri }) => ({
      messages: [
        user(embedded(resourceUri, "text/plain", "Embedded resource content for testing.")),
        user(text("Please process the embedded resource above.")),
      ],
    }),
  );
  mcp.registerPrompt("test_prompt_with_image", { description: "With a picture" }, () => ({
    messages: [user(image), user(text("Please analyze the image above."))],
  }));
}

function embedded(uri: string, mimeType: string, value: string): object {
  return { type: "resource", resource: { uri, mimeType, text: value } };
}
