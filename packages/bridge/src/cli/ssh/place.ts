import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { resolveFolders } from "../../state/index.ts";
import type { Cli } from "../cli.ts";

/** Machines are hosts of this domain for SSH: `shop.doorward`. */
export const SSH_SUFFIX = ".doorward";
/** The user that machines run as; their sshd lets in no other. */
export const SSH_USER = "agent";

/** Files of this user's SSH access to machines. They are the command's own; the bridge never reads them. */
export interface SshPlace {
  readonly folder: string;
  /** Include file for `ssh`. */
  readonly config: string;
  /** Private key that machines let in. */
  readonly identity: string;
  readonly knownHosts: string;
  /** One host key for each machine, by its name. */
  readonly hostKeys: string;
}

/** Where the files are; nothing is created. */
export function sshPlace(env: Cli["env"]): SshPlace {
  const folder = join(resolveFolders(env).state, "ssh");
  return {
    folder,
    config: join(folder, "config"),
    identity: join(folder, "id_ed25519"),
    knownHosts: join(folder, "known_hosts"),
    hostKeys: join(folder, "host-keys"),
  };
}

/** Creates the folders, closed to other users. */
export function createSshFolders(place: SshPlace): void {
  for (const folder of [place.folder, place.hostKeys]) mkdirSync(folder, { recursive: true, mode: 0o700 });
}
