import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openActionLab, type ActionLab } from "./action-lab.ts";
import { needsRoot } from "./lab.ts";
import { doorward } from "./shared-image.ts";

/** Every capability that the policy lets the plugin have: those of all six actions. */
export const PLUGIN_CAPABILITIES = [
  ...["system.clipboard.read", "system.clipboard.write", "system.hosts.write", "system.fs.scope.notes"],
  ...["system.process.exec", "system.process.scope.tool"],
] as const;

const missing = ["Xvfb", "xclip"].find((name) => !existsSync(`/usr/bin/${name}`));
/** Why a bridge with a clipboard and a hosts file of its own can't be had here; false when it can. */
export const noPluginLab =
  missing === undefined ? needsRoot && "needs root, for a hosts file of its own" : `needs ${missing}`;

/** A bridge for plugins: with a screen's clipboard, and with a hosts file that is a copy of the host's. */
export interface PluginLab extends AsyncDisposable {
  readonly actions: ActionLab;
  /** The hosts file that this bridge writes. */
  readonly hostsFile: string;
}

/** Opens it. The bridge runs in a mount namespace whose /etc is a copy, so that no test touches the host's own. */
export async function openPluginLab(): Promise<PluginLab> {
  const actions = await openActionLab();
  actions.repolicy((text) => text.replace("\nactions:\n", `\n${RULE}actions:\n${CLOSED_BY_DEFAULT}`));
  const etc = join(actions.lab.root, "etc");
  execFileSync("cp", ["-a", "/etc", etc]);
  const screen = await openScreen();
  const close = async (): Promise<void> => {
    await actions[Symbol.asyncDispose]();
    const ended = once(screen.server, "exit");
    screen.server.kill();
    await ended;
  };
  try {
    const line = `mount --bind "$1" /etc && shift && exec "$@"`;
    const command = [process.execPath, doorward, "bridge", "restart"];
    const env = { ...actions.lab.env, DISPLAY: screen.display };
    execFileSync("unshare", ["--mount", "sh", "-c", line, "sh", etc, ...command], { env, stdio: "pipe" });
  } catch (error) {
    await close();
    throw error;
  }
  return { actions, hostsFile: join(etc, "hosts"), [Symbol.asyncDispose]: close };
}

/** What the host's own hosts file says. */
export function ownHosts(): string {
  return readFileSync("/etc/hosts", "utf8");
}

async function openScreen(): Promise<{ server: ChildProcess; display: string }> {
  const server = spawn("/usr/bin/Xvfb", ["-displayfd", "1", "-screen", "0", "64x64x8"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [number] = (await once(server.stdout, "data")) as [Buffer];
  return { server, display: `:${number.toString().trim()}` };
}

const RULE = `  - to: "plugin:acme.*"
    doors: [terminal]
    operations: [terminal.observe]
    capabilities: [${PLUGIN_CAPABILITIES.join(", ")}]
    for: 8h
`;

const CLOSED_BY_DEFAULT = `  clipboard: { read: true, write: true }
  hosts: { confirm: always }
`;
