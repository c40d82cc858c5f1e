import { randomBytes } from "node:crypto";
import type { DoorwardClient } from "@doorward/client";
import { DoorwardError, type MintedGrant, type Operation } from "@doorward/contracts";
import { readToken } from "../ssh/token-file.ts";
import { DEFAULT_OPERATIONS, READ_OPERATIONS } from "../mcp/operations.ts";
import { connectCommand, OWN_TOOLS, type ConnectionKind } from "./client-names.ts";
import { CLIENTS } from "./clients.ts";
import type { Connection, ConnectionStore } from "./connection-store.ts";

/** What a connection's grant holds, and for how long. */
export interface GrantAsk {
  readonly time: string;
  readonly readOnly: boolean;
}

/** What a kind of connection needs. */
export function operationsOf(kind: ConnectionKind, readOnly: boolean): readonly Operation[] {
  if (kind === OWN_TOOLS.codex || kind === OWN_TOOLS.openclaw) return ["terminal.agent-exec"];
  return readOnly ? READ_OPERATIONS : DEFAULT_OPERATIONS;
}

/** Mints the grant of a connection. */
export function mintFor(
  client: DoorwardClient,
  { client: name, machine }: Pick<Connection, "client" | "machine">,
  { time, readOnly }: GrantAsk,
  signal: AbortSignal,
): Promise<MintedGrant> {
  const subject = `agent:${CLIENTS[name].tool}:connect-${randomBytes(4).toString("hex")}`;
  const operations = [...operationsOf(name, readOnly)];
  return client.call("grants.create", { body: { machine, subject, operations, for: time } }, { signal });
}

/** Ends the grant of a connection; one that has ended already is no fault. */
export async function endGrant(client: DoorwardClient, grant: string, signal: AbortSignal): Promise<void> {
  const input = { params: { grant }, body: { reason: "its connection was taken back" } };
  await client.call("grants.revoke", input, { signal }).catch((cause: unknown) => {
    const gone =
      cause instanceof DoorwardError && (cause.code === "GRANT_NOT_FOUND" || cause.entry.status === 401);
    if (!gone) throw cause;
  });
}

/**
 * The token of a connection, whose grant is renewed, or replaced when it expired while nobody used it. One that was
 * revoked stays revoked.
 */
export async function freshToken(
  client: DoorwardClient,
  store: ConnectionStore,
  connection: Connection,
  signal: AbortSignal,
): Promise<string> {
  const { grant } = connection;
  if (grant === null) throw noGrant(connection.id);
  const params = { grant: grant.id };
  const view = await client.call("grants.get", { params }, { signal });
  if (view.status === "revoked") throw revoked(connection);
  if (view.status === "active") {
    await client.call("grants.renew", { params, body: { for: grant.time } }, { signal });
    return readToken(store.tokenFile(connection.id));
  }
  const minted = await mintFor(client, connection, grant, signal);
  store.write(store.tokenFile(connection.id), `${minted.token}\n`);
  store.save({ ...connection, grant: { ...grant, id: minted.grant.grantId } });
  return minted.token;
}

function noGrant(id: string): DoorwardError {
  return new DoorwardError({
    code: "GRANT_NOT_FOUND",
    message: `Cannot make headers: connection "${id}" has no grant, its client starts doorward mcp`,
  });
}

function revoked({ id, client, machine, grant }: Connection): DoorwardError {
  return new DoorwardError({
    code: "GRANT_REVOKED",
    message: `Cannot make headers: grant "${grant?.id ?? ""}" of connection "${id}" was revoked`,
    hint: `${connectCommand(client, machine)} --write`,
  });
}
