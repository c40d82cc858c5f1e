import * as vscode from "vscode";

const { LanguageModelTextPart, LanguageModelToolCallPart, LanguageModelToolResultPart } = vscode;

/**
 * A model without a mind: asked by its user to `call NAME {...}`, it calls that tool if it was offered, and repeats what
 * came of it.
 */
export const SCRIPTED_MODEL = {
  provideLanguageModelChatInformation: () => [
    {
      ...{ id: "scripted", name: "Scripted", family: "scripted", version: "1" },
      ...{ maxInputTokens: 100_000, maxOutputTokens: 10_000, capabilities: { toolCalling: true } },
    },
  ],
  provideLanguageModelChatResponse: (_model, messages, { tools = [] }, progress) => {
    const parts = messages.at(-1).content;
    const result = parts.find((part) => part instanceof LanguageModelToolResultPart);
    const asked = [
      ...textOf(messages.flatMap(({ content }) => content)).matchAll(/call (\w+) (\{.*?\})/g),
    ].at(-1);
    const offered = tools.some(({ name }) => name === asked?.[1]);
    if (result !== undefined)
      progress.report(new LanguageModelTextPart(`It said: ${textOf(result.content)}`));
    else if (offered) progress.report(new LanguageModelToolCallPart("c1", asked[1], JSON.parse(asked[2])));
    else progress.report(new LanguageModelTextPart("There is no such tool"));
    return Promise.resolve();
  },
  provideTokenCount: () => Promise.resolve(10),
};

function textOf(parts) {
  return parts.map((part) => (part instanceof LanguageModelTextPart ? part.value : "")).join("\n");
}
