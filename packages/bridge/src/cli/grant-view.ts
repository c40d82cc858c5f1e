import type { GrantView, MintedGrant } from "@doorward/contracts";
import type { Output } from "./output.ts";
import { fields } from "./table.ts";
import { ago, until } from "./times.ts";

/** A grant for people. */
export function showGrant({
  grant,
  status,
  implicit,
  machineName,
  revokedAt,
  revokedReason,
  lastUsedAt,
}: GrantView): string {
  const ended =
    revokedAt === null ? "" : `, ${ago(revokedAt)}${revokedReason === null ? "" : `: ${revokedReason}`}`;
  return fields([
    ["id", grant.grantId],
    ["status", `${status}${ended}${implicit ? " (implicit: lives as long as one command)" : ""}`],
    ["subject", grant.subject],
    ["machine", machineName ?? `${grant.machine} (removed)`],
    ["doors", grant.doors.join(", ")],
    ["operations", grant.operations.join(", ")],
    ["paths", grant.repoPaths.join(", ")],
    ["issued", `${ago(grant.issuedAt)} by ${grant.issuedBy}`],
    ["expires", `${grant.expiresAt} (${until(grant.expiresAt)})`],
    ["last used", ago(lastUsedAt)],
    ...(grant.parent === null ? [] : [["parent", grant.parent] as const]),
  ]);
}

/** A new grant for people; its token comes first and is shown this once. */
export function showMinted(output: Output, minted: MintedGrant): string {
  return [
    minted.token,
    "",
    output.style("yellow", "The token is shown this once. Whoever has it has the grant."),
    "",
    showGrant(minted),
    "",
    `  DOORWARD_TOKEN=... doorward attach ${minted.machineName ?? minted.grant.machine}`,
    `  doorward grant revoke ${minted.grant.grantId}`,
  ].join("\n");
}
