import type { DoorwardError } from "@doorward/contracts";

/** Id of a JSON-RPC request. */
export type RpcId = string | number;

/** What one side sent, as far as whoever passes it on has to know; a batch is several of these. */
export type RpcMessage =
  | { readonly kind: "request"; readonly id: RpcId; readonly method: string }
  | { readonly kind: "notification"; readonly method: string }
  | { readonly kind: "answer"; readonly id: RpcId | null; readonly failed: boolean };

/** Codes of JSON-RPC and of MCP's servers. */
export const RPC_PARSE_ERROR = -32_700;
/** The range that JSON-RPC leaves to servers begins here; what failed stands in `data.code`. */
const RPC_SERVER_ERROR = -32_000;

/** Reads a message or a batch of them; undefined when it is no JSON-RPC 2.0. */
export function readRpc(text: string): readonly RpcMessage[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  const read = all.map(readOne);
  const known = read.filter((message) => message !== undefined);
  return known.length === read.length && known.length > 0 ? known : undefined;
}

/** A key for an id: 1 and "1" are two ids. */
export function rpcKey(id: RpcId): string {
  return JSON.stringify(id);
}

/** The answer to a request that could not be passed on, in one line. */
export function rpcError(id: RpcId | null, code: number, message: string, data?: unknown): string {
  const error = { code, message, ...(data === undefined ? {} : { data }) };
  return JSON.stringify({ jsonrpc: "2.0", id, error });
}

/** The answer for an error of ours; the hint is in the message too, because that is all that most clients show. */
export function rpcErrorOf(id: RpcId | null, error: DoorwardError, hint = error.hint): string {
  const message = hint === undefined ? error.message : `${error.message} (${hint})`;
  return rpcError(id, RPC_SERVER_ERROR, message, {
    code: error.code,
    ...(hint === undefined ? {} : { hint }),
  });
}

function readOne(value: unknown): RpcMessage | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const field = (name: string): unknown => Reflect.get(value, name);
  if (field("jsonrpc") !== "2.0") return undefined;
  const [id, method] = [field("id"), field("method")];
  const known = isId(id) ? id : undefined;
  if (typeof method === "string") {
    if (known !== undefined) return { kind: "request", id: known, method };
    return id === undefined ? { kind: "notification", method } : undefined;
  }
  if (!("result" in value) && !("error" in value)) return undefined;
  return { kind: "answer", id: known ?? null, failed: "error" in value };
}

function isId(id: unknown): id is RpcId {
  return typeof id === "string" || typeof id === "number";
}
