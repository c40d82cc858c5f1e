import { join } from "node:path";
import { shellWord } from "../shell-word.ts";
import type { ClientKind } from "./clients.ts";
import { codexHome, openclawConfig } from "./client-places.ts";
import { JSON_CONFIG } from "./json-config.ts";
import { WHOLE_TOML } from "./whole-toml.ts";

/** Where Codex is in a machine when npm put it there as the documentation says. */
export const CODEX_IN_MACHINE = "/home/agent/codex/node_modules/.bin/codex";

/** Codex's own shell and patches: its exec-server in the machine, which it reaches through a pipe. */
export const codexOwnTools: ClientKind = {
  title: "Codex",
  tool: "codex",
  format: WHOLE_TOML,
  transports: ["ws"],
  holdsToken: true,
  door: (program) => `pipe?arg=${argument(program)}&arg=exec-server&arg=--listen&arg=stdio`,
  place: (scope, { env }, name) =>
    scope === "project"
      ? undefined
      : { file: join(codexHome(env), "environments.toml"), path: ["environments", name] },
  entry: (offer, name) =>
    offer.transport === "stdio"
      ? {}
      : {
          default: name,
          include_local: false,
          environments: [{ id: name, url: offer.url, auth_bearer_token: offer.token }],
        },
  command: () => undefined,
  notes: ({ machine, workdir }) => [
    "Codex has to be in the machine too, e.g. (after `doorward egress allow`) by",
    `  doorward exec ${machine} -- npm install --prefix /home/agent/codex @openai/codex`,
    "Start it in a folder that has the same path as in the machine, which may be empty:",
    `  sudo mkdir -p ${shellWord(workdir)} && cd ${shellWord(workdir)} && codex -s danger-full-access`,
    "MCP servers that Codex starts itself are off meanwhile, also Doorward's: it has no place on this host to start them;",
    `those with a URL work: doorward connect codex ${machine} --transport http --write`,
    "`doorward grant renew` prolongs the grant, and this command makes another: docs/agents-own-tools.md",
  ],
};

/** OpenClaw's own exec, read, write and edit: its plugin, which mints its grants itself. */
export const openclawOwnTools: ClientKind = {
  title: "OpenClaw",
  tool: "openclaw",
  format: JSON_CONFIG,
  transports: ["stdio"],
  holdsToken: false,
  place: (scope, { env }) =>
    scope === "project"
      ? undefined
      : { file: openclawConfig(env), path: ["plugins", "entries", "doorward", "config"] },
  entry: (offer) => {
    if (offer.transport !== "stdio") return {};
    const { DOORWARD_HOME: home } = offer.env;
    const command = [offer.command, ...offer.args];
    return { machine: offer.machine, command, ...(home === undefined ? {} : { home }) };
  },
  command: () => undefined,
  notes: () => [
    "Before it, OpenClaw has to have the plugin, and after it be told to use it for what runs sandboxed:",
    "  openclaw plugins install --link packages/openclaw-plugin   (in Doorward's checkout)",
    `  openclaw config set agents.defaults.sandbox ${shellWord(SANDBOX)} --strict-json --merge`,
    "The machine has to have the agent's workspace mounted: packages/openclaw-plugin/README.md",
  ],
};

const SANDBOX = '{"mode":"all","backend":"doorward","scope":"session","workspaceAccess":"rw"}';

/** For a query, with the slashes that are allowed in one. */
function argument(text: string): string {
  return encodeURIComponent(text).replaceAll("%2F", "/");
}
