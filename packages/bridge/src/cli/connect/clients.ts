import { join } from "node:path";
import type { ToolId } from "@doorward/contracts";
import type { Cli } from "../cli.ts";
import { shellWord } from "../shell-word.ts";
import type { ConnectionKind } from "./client-names.ts";
import { codexHome, home, openclawConfig } from "./client-places.ts";
import type { ConfigEntry, ConfigFormat } from "./config-format.ts";
import { JSON_CONFIG } from "./json-config.ts";
import { codexOwnTools, openclawOwnTools } from "./own-tools.ts";
import { TOML_CONFIG } from "./toml-config.ts";
import { YAML_CONFIG } from "./yaml-config.ts";

/** Whose configuration: this user's, or one folder's. */
export type Scope = "user" | "project";

/** How a client reaches the door. */
export type Transport = "stdio" | "http" | "ws";

/** What a client is to be told. */
export type Offer =
  | {
      readonly transport: "stdio";
      readonly machine: string;
      /** The folder in the machine where work starts. */
      readonly workdir: string;
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    }
  | {
      readonly transport: "http" | "ws";
      readonly machine: string;
      readonly workdir: string;
      readonly url: string;
      /** File that holds the token. */
      readonly tokenFile: string;
      /** Variable that the token is expected in, for clients that read it from there. */
      readonly variable: string;
      /** Program that prints the headers as JSON, for clients that ask one. */
      readonly headersHelper: string;
      /** The token, for clients that have no other way than their configuration; empty where it is only shown. */
      readonly token: string;
    };

/** Where an entry goes. */
export interface Place {
  readonly file: string;
  /** The project's folder where it is of one: nothing outside of it is reached through a link in it. */
  readonly beneath?: string;
  readonly path: readonly string[];
}

/** Where configuration is looked for. */
export interface Where {
  readonly env: Cli["env"];
  readonly platform: NodeJS.Platform;
  /** The folder of a project. */
  readonly project: string;
}

/** One client that can be configured: where its configuration is, and what an entry of it looks like. */
export interface ClientKind {
  readonly title: string;
  /** Kind of agent in grants and records. */
  readonly tool: ToolId;
  readonly format: ConfigFormat;
  readonly transports: readonly Transport[];
  /** Whether its entries hold the token of a transport that needs one, because it has no other way. */
  readonly holdsToken: boolean;
  /** What is behind `/doors/` of the machine, where that is not MCP. */
  door?(program: string): string;
  place(scope: Scope, where: Where, name: string): Place | undefined;
  entry(offer: Offer, name: string): ConfigEntry;
  /** The client's own command that does the same; undefined where it has none. */
  command(name: string, entry: ConfigEntry, scope: Scope): string | undefined;
  /** What else has to be known or done. */
  notes(offer: Offer, name: string): readonly string[];
}

const none = (): undefined => undefined;
const noNotes = (): readonly string[] => [];

const claudeCode: ClientKind = {
  title: "Claude Code",
  tool: "claude-code",
  format: JSON_CONFIG,
  transports: ["stdio", "http", "ws"],
  holdsToken: false,
  place: (scope, { env, project }, name) => ({
    ...(scope === "project"
      ? inProject(project, ".mcp.json")
      : { file: join(env["CLAUDE_CONFIG_DIR"] || home(env), ".claude.json") }),
    path: ["mcpServers", name],
  }),
  entry: (offer) =>
    offer.transport === "stdio"
      ? { type: "stdio", ...stdioFields(offer) }
      : { type: offer.transport, url: offer.url, headersHelper: offer.headersHelper },
  command: (name, entry, scope) =>
    `claude mcp add-json --scope ${scope} ${name} ${shellWord(JSON.stringify(entry))}`,
  notes: () => ["`claude mcp list` shows whether it connects; in a session, /mcp does"],
};

const codex: ClientKind = {
  title: "Codex",
  tool: "codex",
  format: TOML_CONFIG,
  transports: ["stdio", "http"],
  holdsToken: false,
  place: (scope, { env, project }, name) => ({
    ...(scope === "project"
      ? inProject(project, ".codex", "config.toml")
      : { file: join(codexHome(env), "config.toml") }),
    path: ["mcp_servers", name],
  }),
  entry: (offer) => ({
    ...(offer.transport === "stdio"
      ? stdioFields(offer)
      : { url: offer.url, bearer_token_env_var: offer.variable }),
    startup_timeout_sec: 60,
    tool_timeout_sec: 600,
    // Otherwise `codex exec` refuses every call that changes something: it has nobody to ask.
    default_tools_approval_mode: "approve",
  }),
  command: (name, entry) => {
    const { command, args } = entry;
    if (typeof command !== "string" || !Array.isArray(args)) return undefined;
    const env = variables(entry).map((word) => `--env ${word} `);
    return `codex mcp add ${name} ${env.join("")}-- ${[command, ...args.map(String)].map(shellWord).join(" ")}`;
  },
  notes: (offer) => [
    "Codex asks nobody about these tools (default_tools_approval_mode): they work in the machine, and Doorward asks you",
    "on this host about what your policy says",
    "Codex's own shell still runs on this host: `codex -s read-only` keeps it from changing anything there;",
    "with --own-tools it runs in the machine instead (docs/agents-own-tools.md)",
    ...(offer.transport === "stdio" ? [] : [exportLine(offer)]),
  ],
};

const openclaw: ClientKind = {
  title: "OpenClaw",
  tool: "openclaw",
  format: JSON_CONFIG,
  transports: ["stdio", "http"],
  holdsToken: true,
  place: (scope, { env }, name) =>
    scope === "project" ? undefined : { file: openclawConfig(env), path: ["mcp", "servers", name] },
  entry: (offer) =>
    offer.transport === "stdio"
      ? stdioFields(offer)
      : {
          url: offer.url,
          transport: "streamable-http",
          headers: { Authorization: `Bearer ${offer.token}` },
        },
  command: (name, entry) => {
    const { command, args } = entry;
    if (typeof command !== "string" || !Array.isArray(args)) return undefined;
    const rest = args.map((word) => ` --arg ${shellWord(String(word))}`).join("");
    const env = variables(entry).map((word) => ` --env ${word}`);
    return `openclaw mcp add ${name} --command ${shellWord(command)}${rest}${env.join("")}`;
  },
  notes: () => [
    "`openclaw mcp probe` shows whether it connects",
    "Its own exec, read and write run in a machine with the plugin: --own-tools (docs/agents-own-tools.md)",
    'A sandboxed session sees it only with "tools.sandbox.tools.alsoAllow": ["bundle-mcp"]',
  ],
};

const hermes: ClientKind = {
  title: "Hermes",
  tool: "hermes",
  format: YAML_CONFIG,
  transports: ["stdio", "http"],
  holdsToken: false,
  place: (scope, { env }, name) =>
    scope === "project"
      ? undefined
      : {
          file: join(env["HERMES_HOME"] || join(home(env), ".hermes"), "config.yaml"),
          path: ["mcp_servers", name],
        },
  entry: (offer) =>
    offer.transport === "stdio"
      ? { ...stdioFields(offer), connect_timeout: 60, timeout: 600 }
      : { url: offer.url, headers: { Authorization: `Bearer \${${offer.variable}}` } },
  command: none,
  notes: (offer) => [
    ...(offer.transport === "stdio" ? [] : [exportLine(offer)]),
    "Its own terminal goes into the machine too with `doorward ssh-config --install`, terminal.backend: ssh,",
    `TERMINAL_SSH_HOST=${offer.machine}.doorward and TERMINAL_SSH_USER=agent (docs/ssh.md)`,
  ],
};

const vscode: ClientKind = {
  title: "VS Code",
  tool: "local-shell",
  format: JSON_CONFIG,
  transports: ["stdio", "http"],
  holdsToken: false,
  place: (scope, where, name) => ({
    ...(scope === "project"
      ? inProject(where.project, ".vscode", "mcp.json")
      : { file: join(vscodeUser(where), "mcp.json") }),
    path: ["servers", name],
  }),
  entry: (offer, name) =>
    offer.transport === "stdio"
      ? { type: "stdio", ...stdioFields(offer) }
      : { type: "http", url: offer.url, headers: { Authorization: `Bearer \${input:${name}}` } },
  command: (name, entry) => `code --add-mcp ${shellWord(JSON.stringify({ name, ...entry }))}`,
  notes: (offer, name) =>
    offer.transport === "stdio"
      ? ["MCP: List Servers starts it; VS Code asks you before it runs or changes anything"]
      : [
          "VS Code does not start it before the file says, beside servers, that you are asked for the token:",
          `"inputs": [${JSON.stringify({ type: "promptString", id: name, description: "Token", password: true })}]`,
          `The token is in ${offer.tokenFile}`,
        ],
};

const generic: ClientKind = {
  title: "any MCP client",
  tool: "local-shell",
  format: JSON_CONFIG,
  transports: ["stdio", "http", "ws"],
  holdsToken: false,
  place: none,
  entry: (offer, name) =>
    offer.transport === "stdio"
      ? { mcpServers: { [name]: stdioFields(offer) } }
      : {
          url: offer.url,
          ...(offer.transport === "ws" ? { subprotocol: "mcp" } : {}),
          header: "Authorization: Bearer TOKEN",
          tokenFile: offer.tokenFile,
        },
  command: none,
  notes: noNotes,
};

/** Every client by the name it has on the command line. */
export const CLIENTS: Readonly<Record<ConnectionKind, ClientKind>> = {
  openclaw,
  hermes,
  codex,
  "claude-code": claudeCode,
  vscode,
  generic,
  "own-tools-codex": codexOwnTools,
  "own-tools-openclaw": openclawOwnTools,
};

function inProject(project: string, ...names: readonly string[]): Pick<Place, "file" | "beneath"> {
  return { file: join(project, ...names), beneath: project };
}

function stdioFields({ command, args, env }: Extract<Offer, { transport: "stdio" }>): ConfigEntry {
  return { command, args: [...args], ...(Object.keys(env).length === 0 ? {} : { env: { ...env } }) };
}

/** Variables of an entry as words of a shell. */
function variables(entry: ConfigEntry): readonly string[] {
  return Object.entries(entry["env"] ?? {}).map(([key, value]) => shellWord(`${key}=${String(value)}`));
}

function exportLine({ variable, tokenFile }: Exclude<Offer, { transport: "stdio" }>): string {
  return `It reads the token from its environment: export ${variable}="$(cat ${shellWord(tokenFile)})"`;
}

function vscodeUser({ env, platform }: Where): string {
  if (platform === "darwin") return join(home(env), "Library", "Application Support", "Code", "User");
  if (platform === "win32")
    return join(env["APPDATA"] || join(home(env), "AppData", "Roaming"), "Code", "User");
  return join(env["XDG_CONFIG_HOME"] || join(home(env), ".config"), "Code", "User");
}
