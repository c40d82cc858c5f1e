import { DoorwardError } from "@doorward/contracts";

/** Longest line of an answer that is still read, in characters. */
const MAX_LINE = 16_777_216;

/** Splits a stream of UTF-8 bytes into lines, without the newline. */
export async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE) {
      throw new DoorwardError({
        code: "INPUT_TOO_LARGE",
        message: "Cannot read the bridge's answer: a line is too long",
      });
    }
    yield* lines.filter((line) => line !== "");
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

/** The whole of a stream of UTF-8 bytes. */
export async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

/** Parses JSON that a bridge sent; anything else is a PROTOCOL_ERROR. */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (cause) {
    throw new DoorwardError({
      code: "PROTOCOL_ERROR",
      message: `Cannot read the bridge's answer: "${text.slice(0, 80)}" is not JSON`,
      cause,
    });
  }
}
