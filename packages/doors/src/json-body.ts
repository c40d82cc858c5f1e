import type { IncomingMessage } from "node:http";
import { DoorwardError } from "@doorward/contracts";

/** How large and how deep a body may be. */
export interface BodyLimits {
  readonly bodyBytes: number;
  readonly bodyDepth: number;
}

/** Reads a request's body as JSON; no body is the empty object. */
export async function readJsonBody(
  request: IncomingMessage,
  limits: BodyLimits,
  signal: AbortSignal,
): Promise<unknown> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > limits.bodyBytes) throw tooLarge(limits.bodyBytes);
  if (declared === 0 && request.headers["transfer-encoding"] === undefined) return {};
  if (request.method === "GET") throw invalid("GET takes no body");
  const bytes = await readBytes(request, limits.bodyBytes, signal);
  if (bytes.length === 0) return {};
  guardType(request);
  return parseJson(bytes, limits.bodyDepth);
}

function guardType(request: IncomingMessage): void {
  const type = request.headers["content-type"] ?? "";
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined) throw invalid("it must not be compressed");
  if (!/^application\/json *(?:; *charset=utf-8)?$/i.test(type)) {
    throw invalid('its Content-Type is not "application/json"');
  }
}

function readBytes(request: IncomingMessage, limit: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const fail = (): void => {
      reject(
        new DoorwardError({ code: "ABORTED", message: "Cannot read the request: the caller went away" }),
      );
    };
    if (signal.aborted) {
      fail();
      return;
    }
    signal.addEventListener("abort", fail, { once: true });
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) {
        request.removeAllListeners("data").pause();
        reject(tooLarge(limit));
      } else chunks.push(chunk);
    });
    request.once("end", () => {
      resolve(Buffer.concat(chunks));
    });
    request.once("error", fail);
  });
}

/** Parses JSON in UTF-8, refusing what is nested too deeply and what would set a prototype. */
export function parseJson(bytes: Buffer, depth: number): unknown {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw invalid(cause instanceof SyntaxError ? "it is not JSON" : "it is not UTF-8", cause);
  }
  guardShape(parsed, depth);
  return parsed;
}

function guardShape(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth === 0) throw invalid("it is nested too deeply");
  if (Object.hasOwn(value, "__proto__")) throw invalid('it has a field "__proto__"');
  for (const inner of Object.values(value)) guardShape(inner, depth - 1);
}

function tooLarge(limit: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot accept the request: its body is larger than ${String(limit)} bytes`,
  });
}

function invalid(why: string, cause?: unknown): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot read the request's body: ${why}`,
    cause,
  });
}
