import { accessSync, constants } from "node:fs";
import { basename, join } from "node:path";
import type { Cli } from "../cli.ts";

/** How another program on this host starts this command. */
export interface SelfCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** What decides which installation is found, where it is not the default: clients pass little of their environment on. */
  readonly env: Readonly<Record<string, string>>;
}

const PLACES = ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] as const;

/**
 * The command for a client's configuration. One that is for this user alone gets paths that need no PATH, because what
 * a desktop starts has another; one that others share gets the name.
 */
export function selfCommand({ env, script }: Pick<Cli, "env" | "script">, shared: boolean): SelfCommand {
  const home = env["DOORWARD_HOME"] ?? "";
  const places = home === "" ? PLACES : (["DOORWARD_HOME"] as const);
  const kept = places.flatMap((name) => {
    const value = env[name] ?? "";
    return value === "" ? [] : [[name, value] as const];
  });
  const found = shared ? onPath(env["PATH"]) : undefined;
  const started =
    script === undefined || (found !== undefined && /^doorward(?:\.js)?$/.test(basename(script)));
  const own = { command: process.execPath, args: [...process.execArgv, script ?? ""] };
  const named = { command: "doorward", args: [] };
  return { ...(started ? named : own), env: Object.fromEntries(kept) };
}

function onPath(path: string | undefined): string | undefined {
  const folders = (path ?? "")
    .split(":")
    .filter((folder) => folder.startsWith("/") && !folder.endsWith("/.bin"));
  return folders.map((folder) => join(folder, "doorward")).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
