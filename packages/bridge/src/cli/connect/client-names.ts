/** Names of the clients that can be configured, as the command line takes them. */
export const CLIENT_NAMES = ["openclaw", "hermes", "codex", "claude-code", "vscode", "generic"] as const;

/** Name of a client on the command line. */
export type ClientName = (typeof CLIENT_NAMES)[number];

/** Clients whose own tools can be told to run in a machine, and what such a connection is kept as. */
export const OWN_TOOLS = { codex: "own-tools-codex", openclaw: "own-tools-openclaw" } as const;

/** What can be written for clients: tools by MCP, or that their own run in a machine. */
export const CONNECTION_KINDS = [...CLIENT_NAMES, OWN_TOOLS.codex, OWN_TOOLS.openclaw] as const;

/** One of these. */
export type ConnectionKind = (typeof CONNECTION_KINDS)[number];

/** What the command line means by a client; undefined where its own tools can't be told to. */
export function kindOf(client: ClientName, ownTools: boolean): ConnectionKind | undefined {
  if (!ownTools) return client;
  return client === "codex" || client === "openclaw" ? OWN_TOOLS[client] : undefined;
}

/** The command for a connection, without what it is to do. */
export function connectCommand(kind: ConnectionKind, machine: string): string {
  if (kind === OWN_TOOLS.codex) return `doorward connect codex ${machine} --own-tools`;
  if (kind === OWN_TOOLS.openclaw) return `doorward connect openclaw ${machine} --own-tools`;
  return `doorward connect ${kind} ${machine}`;
}
