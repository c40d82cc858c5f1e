/** Names of the clients that can be configured, as the command line takes them. */
export const CLIENT_NAMES = ["openclaw", "hermes", "codex", "claude-code", "vscode", "generic"] as const;

/** Name of a client on the command line. */
export type ClientName = (typeof CLIENT_NAMES)[number];
