import type { GrantView } from "@doorward/contracts";
import type { GrantEntry } from "./entry.ts";

/** A grant as clients see it. */
export function grantView(entry: GrantEntry, machineName: string | null, snapshot = entry.stored): GrantView {
  const { grant, implicit, end, lastUsedAt } = snapshot;
  const revoked = end?.status === "revoked" ? end : null;
  return {
    grant,
    status: end?.status ?? "active",
    implicit,
    revokedAt: revoked?.at ?? null,
    revokedReason: revoked?.reason ?? null,
    machineName,
    lastUsedAt,
  };
}
