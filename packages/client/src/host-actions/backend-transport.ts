import type { DoorwardClient } from "../doorward-client.ts";
import type { CallOptions } from "../doorward-client.ts";
import type { RouteEvent } from "@doorward/contracts";

/** A host's `createBackendReq`: never rejects. */
export type CreateBackendReq = (handler: string, payload?: unknown) => Promise<unknown>;

const HANDLERS: ReadonlySet<string> = new Set(["requestPrivilegedAction", "__host.privilegedAction"]);

/** A `window.createBackendReq` over a client of ours: what a page or a plugin's runtime is given to ask through. */
export function createBackendReqOver(
  client: DoorwardClient,
  options: CallOptions<RouteEvent<"actions.run">> = {},
): CreateBackendReq {
  return async (handler, payload) => {
    if (!HANDLERS.has(handler)) return { success: false, error: `Handler "${handler}" is not registered` };
    try {
      return await client.call("actions.run", { body: payload ?? {} }, options);
    } catch (error) {
      return { success: false, error: error instanceof Error ? error.message : String(error) };
    }
  };
}
