import { existsSync, readFileSync, rmSync } from "node:fs";
import { writeDurably } from "../../state/index.ts";
import { bridgePlace } from "../bridge-process.ts";
import type { Cli } from "../cli.ts";
import { configText } from "./config-text.ts";
import { clientKey } from "./keys.ts";
import { createSshFolders, sshPlace, type SshPlace } from "./place.ts";

/** The words that carry a connection from anywhere, for the installation that this command has now. */
export function proxyWords(
  { env, script }: Pick<Cli, "env" | "script">,
  tokenFile?: string,
): readonly string[] {
  const home = env["DOORWARD_HOME"] ?? "";
  // Who calls `ssh` may clear variables, and a grant's holder would then ask whatever answers at the usual port.
  const bridge = env["DOORWARD_URL"] || `unix:${bridgePlace(env).socket}`;
  const set = [
    ...(home === "" ? [] : [`DOORWARD_HOME=${home}`]),
    ...(tokenFile === undefined ? [] : [`DOORWARD_URL=${bridge}`]),
  ];
  const place = set.length === 0 ? [] : ["env", ...set];
  const self = script === undefined ? ["doorward"] : [process.execPath, ...process.execArgv, script];
  return [...place, ...self, "ssh-proxy", ...(tokenFile === undefined ? [] : ["--token-file", tokenFile])];
}

/** Writes what is missing or of another build: configuration and key pair. */
export async function writeSshFiles(cli: Cli): Promise<SshPlace> {
  const place = sshPlace(cli.env);
  const proxy = proxyWords(cli);
  createSshFolders(place);
  await clientKey(place);
  keep(place.config, configText(place, proxy, undefined));
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
