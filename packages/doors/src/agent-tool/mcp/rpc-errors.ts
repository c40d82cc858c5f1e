import type { DoorwardError } from "@doorward/contracts";

/** JSON-RPC error codes that this door answers itself; the SDK answers the others. */
export const RPC = {
  parseError: -32700,
  invalidRequest: -32600,
  /** A fault of the transport or of the session, as the SDK numbers it. */
  refused: -32000,
  sessionNotFound: -32001,
} as const;

/** A JSON-RPC error message. */
export interface RpcError {
  readonly jsonrpc: "2.0";
  readonly id: string | number | null;
  readonly error: { readonly code: number; readonly message: string; readonly data?: unknown };
}

/** A JSON-RPC error answer; `id` is null where the request's could not be read. */
export function rpcError(id: unknown, code: number, message: string, data?: object): RpcError {
  return {
    jsonrpc: "2.0",
    id: typeof id === "string" || typeof id === "number" ? id : null,
    error: { code, message, ...(data === undefined ? {} : { data }) },
  };
}

/** An error of ours as the JSON-RPC error that refuses a message or ends a session. */
export function refusalOf(
  id: unknown,
  { code, message, hint }: DoorwardError,
  number: number = RPC.refused,
): RpcError {
  const shown = code === "INTERNAL" ? "Unexpected fault in the bridge" : message;
  return rpcError(id, number, shown, { code, ...(hint === undefined ? {} : { hint }) });
}
