import { randomBytes } from "node:crypto";
import {
  ACTION_CODES,
  HostActionRequest,
  type ActionCode,
  type HostActionResponse,
} from "@doorward/contracts";
import { ActionError } from "./action-error.ts";
import { isRecord, jsonProblem } from "./intake-json.ts";
import { checkMeaning } from "./intake-rules.ts";
import { issueWords } from "./issue-words.ts";

/** Most characters of one request, over all its texts. */
const MAX_REQUEST_CHARS = 12_582_912;

/** A request that was taken in, or the answer of a plugin's backend that failed before it asked for anything. */
export type Taken =
  | {
      readonly kind: "request";
      readonly correlationId: string;
      readonly request: HostActionRequest;
      /** Whether it came nested in another envelope, which is deprecated. */
      readonly nested: boolean;
    }
  | { readonly kind: "failure"; readonly response: HostActionResponse };

/** A request that was refused before it was known what it asks for. */
export class IntakeError extends ActionError {
  readonly correlationId: string;
  /** The action as far as it could be told. */
  readonly action: unknown;
  readonly field: string | null;

  constructor(message: string, where: { correlationId: string; action?: unknown; field?: string }) {
    super({ code: "VALIDATION_FAILED", message });
    this.correlationId = where.correlationId;
    this.action = where.action;
    this.field = where.field ?? null;
  }
}

interface Found {
  readonly request: unknown;
  readonly correlationId: unknown;
  readonly nested: boolean;
}

/**
 * Takes a request in from one of the five envelope shapes: `{correlationId, request}`, the same in `result`, `content` or
 * `data`, and the bare request. Throws an IntakeError.
 */
export function takeIn(raw: unknown): Taken {
  const problem = jsonProblem(raw, MAX_REQUEST_CHARS);
  const fallback = newCorrelationId();
  if (problem !== null)
    throw new IntakeError(`Cannot take the request: ${problem}`, { correlationId: fallback });
  if (!isRecord(raw))
    throw new IntakeError("Cannot take the request: it is no object", { correlationId: fallback });
  if (isFailure(raw)) return { kind: "failure", response: forwarded(raw, fallback) };
  const found = find(raw, fallback);
  const correlationId = correlationOf(found.correlationId, fallback);
  const request = parse(found.request, correlationId);
  return { kind: "request", correlationId, request, nested: found.nested };
}

/** A correlation id of the host's own making; unique, unlike those of askers. */
function newCorrelationId(): string {
  return `priv-${Date.now()}-${randomBytes(6).toString("hex")}`;
}

function find(raw: Readonly<Record<string, unknown>>, fallback: string): Found {
  if (Object.hasOwn(raw, "action")) return { request: raw, correlationId: undefined, nested: false };
  const places: Found[] = [];
  if (Object.hasOwn(raw, "request")) {
    strictEnvelope(raw, fallback);
    places.push({ request: raw["request"], correlationId: raw["correlationId"], nested: false });
  }
  for (const name of ["result", "content", "data"]) {
    const inner = raw[name];
    if (!isRecord(inner) || !Object.hasOwn(inner, "request")) continue;
    strictEnvelope(inner, fallback);
    const correlationId = inner["correlationId"] ?? raw["correlationId"];
    places.push({ request: inner["request"], correlationId, nested: true });
  }
  const [only, second] = places;
  if (only !== undefined && second === undefined) return only;
  const why = only === undefined ? "it holds no request" : "it holds more than one request";
  throw new IntakeError(`Cannot take the request: ${why}`, {
    correlationId: correlationOf(raw["correlationId"], fallback),
  });
}

function strictEnvelope(envelope: Readonly<Record<string, unknown>>, fallback: string): void {
  const unknown = Object.keys(envelope).find((name) => name !== "request" && name !== "correlationId");
  if (unknown === undefined) return;
  throw new IntakeError(`Cannot take the request: unknown field ${JSON.stringify(unknown.slice(0, 80))}`, {
    correlationId: fallback,
    field: unknown.slice(0, 80),
  });
}

function correlationOf(given: unknown, fallback: string): string {
  if (given === undefined) return fallback;
  if (typeof given === "string" && /^[A-Za-z0-9._:-]{1,120}$/.test(given)) return given;
  throw new IntakeError(
    'Cannot take the request: "correlationId" is not 1 to 120 letters, digits and . _ : -',
    { correlationId: fallback, field: "correlationId" },
  );
}

function parse(raw: unknown, correlationId: string): HostActionRequest {
  const action = isRecord(raw) ? raw["action"] : undefined;
  const parsed = HostActionRequest.safeParse(raw);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = (issue?.path ?? []).map(String).join(".").slice(0, 200);
    const message = `Cannot take the request: ${field === "" ? "" : `"${field}": `}${issueWords(issue, HostActionRequest)}`;
    throw new IntakeError(message.slice(0, 1000), { correlationId, action, field });
  }
  const problem = checkMeaning(parsed.data);
  if (problem === null) return parsed.data;
  const { field, why } = problem;
  throw new IntakeError(`Cannot take the request: "${field}": ${why}`, { correlationId, action, field });
}

function isFailure(raw: Readonly<Record<string, unknown>>): boolean {
  if (Object.hasOwn(raw, "action")) return false;
  return (
    raw["ok"] === false ||
    raw["success"] === false ||
    Object.hasOwn(raw, "code") ||
    Object.hasOwn(raw, "error")
  );
}

function forwarded(raw: Readonly<Record<string, unknown>>, fallback: string): HostActionResponse {
  const { correlationId, code, error } = raw;
  const safe = typeof correlationId === "string" && /^[A-Za-z0-9._:-]{1,120}$/.test(correlationId);
  const known = ACTION_CODES.find((each): each is ActionCode => each === code);
  const text =
    typeof error === "string" && error !== "" ? error.slice(0, 4000) : "The plugin's backend failed";
  return {
    ok: false,
    correlationId: safe ? correlationId : fallback,
    error: text,
    code: known ?? "PLUGIN_BACKEND_HANDLER_FAILED",
    ...(typeof code === "string" && known === undefined
      ? { details: { backendCode: code.slice(0, 80) } }
      : {}),
  };
}
