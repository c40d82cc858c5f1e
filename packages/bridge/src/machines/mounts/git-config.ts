import { lstat } from "node:fs/promises";
import { join } from "node:path";
import type { EngineMount } from "../engine.ts";
import { Masks } from "./masks.ts";
import { runGit } from "./run-git.ts";

/** The operator as commits name him. */
export interface GitIdentity {
  readonly name: string | null;
  readonly email: string | null;
}

/** Reads name and email from the operator's own git settings; no repository is looked at and no include is followed. */
export async function operatorGitIdentity(home: string): Promise<GitIdentity> {
  const files = [join(home, ".gitconfig"), join(home, ".config", "git", "config")];
  const [name, email] = await Promise.all([firstValue(files, "user.name"), firstValue(files, "user.email")]);
  return { name, email };
}

/**
 * Content of a machine's system gitconfig. A file, not `GIT_CONFIG_COUNT`: a repository's own name and email must
 * win over the operator's, and variables would win over the repository.
 */
export function machineGitConfig(identity: GitIdentity): string {
  const user = [line("name", identity.name), line("email", identity.email)].join("");
  return [
    "# Written by Doorward for this machine",
    "[safe]\n\tdirectory = *",
    "[branch]\n\tautoSetupMerge = false",
    ...(user === "" ? [] : [`[user]\n${user.trimEnd()}`]),
    "",
  ].join("\n");
}

/** The read-only mount that makes a text the machine's `/etc/gitconfig`. */
export async function gitConfigMount(masksDir: string, content: string): Promise<EngineMount> {
  const masks = await Masks.open(masksDir);
  const source = await masks.content(content);
  const { dev, ino, uid, gid } = await lstat(source);
  return {
    source,
    target: "/etc/gitconfig",
    access: "ro",
    role: "guest-runtime",
    identity: { dev, ino },
    mapOwner: false,
    owner: { uid, gid },
  };
}

async function firstValue(files: readonly string[], key: string): Promise<string | null> {
  for (const file of files) {
    const value = await readValue(file, key).catch(() => null);
    if (value !== null && value !== "") return value;
  }
  return null;
}

async function readValue(file: string, key: string): Promise<string | null> {
  const { stdout } = await runGit(["config", "--file", file, "--no-includes", "--get", key], {
    accept: [1],
    maxBytes: 4_096,
    milliseconds: 10_000,
  });
  return stdout.toString("utf8").replace(/\n$/, "");
}

function line(key: string, value: string | null): string {
  if (value === null) return "";
  const plain = value
    .replace(/[\u0000-\u001f\u007f]/g, " ")
    .trim()
    .slice(0, 200);
  const quoted = plain.replace(/["\\]/g, (character) => `\\${character}`);
  return plain === "" ? "" : `\t${key} = "${quoted}"\n`;
}
