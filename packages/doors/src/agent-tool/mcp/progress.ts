import type { ServerContext } from "@modelcontextprotocol/server";

const EVERY_MS = 100;
const MESSAGE_CHARS = 500;

/** Tells a caller that gave a progress token how far its call came, ten times a second at most. */
export function progressOf(context: ServerContext): (message: string) => void {
  const token = context.mcpReq._meta?.progressToken;
  if (token === undefined) return () => undefined;
  let told = 0;
  let toldAt = -Infinity;
  return (message) => {
    const now = performance.now();
    if (now - toldAt < EVERY_MS || context.mcpReq.signal.aborted) return;
    toldAt = now;
    told += 1;
    const params = { progressToken: token, progress: told, message: message.slice(0, MESSAGE_CHARS) };
    void context.mcpReq.notify({ method: "notifications/progress", params }).catch(() => undefined);
  };
}
