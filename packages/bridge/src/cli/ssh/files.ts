import { chmodSync, existsSync, readFileSync, rmSync } from "node:fs";
import { writeDurably } from "../../state/index.ts";
import type { Cli } from "../cli.ts";
import { configText, wrapperText } from "./config-text.ts";
import { clientKey } from "./keys.ts";
import { createSshFolders, sshPlace, type SshPlace } from "./place.ts";

/** The words that run this command again from anywhere, for the installation that it has now. */
export function selfCommand({ env, script }: Pick<Cli, "env" | "script">): readonly string[] {
  const home = env["DOORWARD_HOME"] ?? "";
  const place = home === "" ? [] : ["env", `DOORWARD_HOME=${home}`];
  return script === undefined
    ? [...place, "doorward"]
    : [...place, process.execPath, ...process.execArgv, script];
}

/** Writes what is missing or of another build: configuration, stand-in for `ssh`, and the key pair. */
export async function writeSshFiles(cli: Cli): Promise<SshPlace> {
  const place = sshPlace(cli.env);
  const command = selfCommand(cli);
  createSshFolders(place);
  await clientKey(place);
  keep(place.config, configText(place, command, undefined));
  keep(place.command, wrapperText(place, command));
  chmodSync(place.command, 0o700);
  return place;
}

/** Deletes all of it, keys included; answers whether there was any. */
export function removeSshFiles(place: SshPlace): boolean {
  const found = existsSync(place.folder);
  rmSync(place.folder, { recursive: true, force: true });
  return found;
}

function keep(path: string, text: string): void {
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeDurably(path, text);
}
