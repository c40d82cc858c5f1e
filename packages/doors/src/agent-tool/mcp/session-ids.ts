import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

const shape = /^mcp-([0-9a-f]{32})-([0-9a-f]{32})$/;

/** A new id for a client of a grant; it holds no state, so that clients go on after the bridge was restarted. */
export function newSessionId(grantId: string): string {
  const random = randomBytes(16).toString("hex");
  return `mcp-${random}-${bound(grantId, random)}`;
}

/**
 * Whether an id was given out under a grant. It is an identity, no secret and no permission: who holds the grant could
 * make one, and would reach nothing but its own calls.
 */
export function isSessionIdOf(grantId: string, id: string): boolean {
  const [, random = "", mark = ""] = shape.exec(id) ?? [];
  return mark !== "" && timingSafeEqual(Buffer.from(mark), Buffer.from(bound(grantId, random)));
}

function bound(grantId: string, random: string): string {
  return createHash("sha256")
    .update(`doorward-mcp-session\n${grantId}\n${random}`)
    .digest("hex")
    .slice(0, 32);
}
