import { createServer } from "node:http";
import process from "node:process";
import { json } from "node:stream/consumers";
import * as vscode from "vscode";
import { SCRIPTED_MODEL } from "./scripted-model.mjs";

/** What can be asked, one request each. */
const ANSWERS = {
  agent: () => vscode.extensions.getExtension("GitHub.copilot-chat")?.isActive ?? false,
  tools: () =>
    vscode.lm.tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema })),
  call: async ({ name, input }, token) => {
    const { content } = await vscode.lm.invokeTool(name, { input, toolInvocationToken: undefined }, token);
    return content.flatMap((part) => (part instanceof vscode.LanguageModelTextPart ? [part.value] : []));
  },
};

async function answer(request, token) {
  try {
    const { ask, ...rest } = await json(request);
    return { answer: await ANSWERS[ask](rest, token) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/** VS Code starts it with this. */
export function activate({ subscriptions }) {
  subscriptions.push(vscode.lm.registerLanguageModelChatProvider("scripted", SCRIPTED_MODEL));
  const server = createServer((request, response) => {
    const source = new vscode.CancellationTokenSource();
    response.once("close", () => source.cancel());
    void answer(request, source.token).then((said) => response.end(JSON.stringify(said)));
  });
  server.listen(process.env.DOORWARD_TEST_PROBE);
  subscriptions.push({ dispose: () => server.close() });
}
