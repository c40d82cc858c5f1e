import type { DoorwardClient } from "@doorward/client";
import type { GrantView, MintedGrant, Operation } from "@doorward/contracts";
import { actsForGrant, DEFAULT_URL } from "./bridge-link.ts";
import type { Output } from "./output.ts";
import type { Run } from "./run.ts";
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
    ...(grant.capabilities === undefined ? [] : [["capabilities", grant.capabilities.join(", ")] as const]),
    ...(grant.tools === undefined ? [] : [["tools", grant.tools.join(", ")] as const]),
    ["paths", grant.repoPaths.join(", ")],
    ["issued", `${ago(grant.issuedAt)} by ${grant.issuedBy}`],
    ["expires", `${grant.expiresAt} (${until(grant.expiresAt)})`],
    ["last used", ago(lastUsedAt)],
    ...(grant.parent === null ? [] : [["parent", grant.parent] as const]),
  ]);
}

/** A new grant for people; its token comes first and is shown this once. */
export function showMinted(output: Output, minted: MintedGrant, url: string | undefined): string {
  const place = url === undefined ? "" : `DOORWARD_URL=${url} `;
  return [
    minted.token,
    "",
    output.style("yellow", "The token is shown this once. Whoever has it has the grant."),
    "",
    showGrant(minted),
    "",
    output.commands(`  ${place}DOORWARD_TOKEN=... doorward ${use(minted)}`),
    output.commands(`  doorward grant revoke ${minted.grant.grantId}`),
  ].join("\n");
}

/** What the holder of a grant can do first with it. */
function use({ grant, machineName }: GrantView): string {
  const machine = machineName ?? grant.machine;
  const may = (operation: Operation): boolean => grant.operations.includes(operation);
  if (may("terminal.attach")) return `attach ${machine}`;
  if (may("terminal.agent-exec") || may("terminal.exec")) return `exec ${machine} -- ls`;
  if (grant.doors.includes("agent-tool")) return `mcp ${machine}`;
  return may("terminal.observe") ? `attach ${machine} --list` : "ls";
}

/** Where a token's holder on this host finds the bridge; undefined when that need not be said. */
export async function tokenUrl(run: Run, client: DoorwardClient): Promise<string | undefined> {
  if (actsForGrant(run.cli.env)) return run.cli.env["DOORWARD_URL"] || undefined;
  const { tcp } = await client.call("bridge.status", {}, { signal: run.cli.signal });
  const url = `http://127.0.0.1:${tcp.port}`;
  return url === DEFAULT_URL ? undefined : url;
}
