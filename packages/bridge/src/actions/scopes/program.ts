import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readlink, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import type { FileIdentity } from "../ports.ts";

const LINKS = 40;
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

interface Untrusted {
  readonly problem: "absent" | "untrusted";
  readonly why: string;
}

/** A program that may be run, or why its file is not to be trusted. */
export type ProgramVerdict = { readonly program: FileIdentity } | Untrusted;

/** Who may own a program and the folders on its way. */
export interface Owners {
  readonly owner: "root" | "user";
  readonly uid: number;
}

/**
 * Resolves a program and looks at every folder and link on its way: whoever can write to one of them decides what runs.
 * The file is identified by device, inode and digest, so that what runs is what was judged.
 */
export async function identifyProgram(path: string, owners: Owners): Promise<ProgramVerdict> {
  const walked = await walk(path, owners).catch((error: unknown) => absent(path, error));
  if ("problem" in walked) return walked;
  const found = await stat(walked.file, { bigint: true });
  if (!found.isFile()) return untrusted(`"${walked.file}" is not a file`);
  if ((found.mode & 0o111n) === 0n) return untrusted(`"${walked.file}" is not executable`);
  // A program that changes who it runs as is for the system to start, not for a request.
  if ((found.mode & 0o6000n) !== 0n) return untrusted(`"${walked.file}" is setuid or setgid`);
  // The system links some of its own (perl, git); elsewhere the other name may be where a machine can write.
  if (found.nlink > 1n && found.uid !== 0n)
    return untrusted(`"${walked.file}" has another name (a hard link), by which it may be written`);
  const digest = await digestOf(walked.file, found);
  return {
    program: { path: walked.file, dev: String(found.dev), ino: String(found.ino), digest },
  };
}

async function walk(path: string, owners: Owners): Promise<{ file: string } | Untrusted> {
  let left = LINKS;
  let done: string = sep;
  let parts = resolve(path).split(sep).filter(Boolean);
  const root = await checked(sep, owners);
  if (root.why !== null) return untrusted(root.why);
  for (let name = parts.shift(); name !== undefined; name = parts.shift()) {
    const here = join(done, name);
    const { why, link } = await checked(here, owners);
    if (why !== null) return untrusted(why);
    if (!link) {
      done = here;
      continue;
    }
    if (--left < 0) return untrusted(`"${path}" has too many links`);
    const target = resolve(dirname(here), await readlink(here));
    parts = [...target.split(sep).filter(Boolean), ...parts];
    done = sep;
  }
  return { file: done };
}

async function checked(path: string, { owner, uid }: Owners): Promise<{ why: string | null; link: boolean }> {
  const found = await lstat(path);
  const link = found.isSymbolicLink();
  const owned = found.uid === 0 || (owner === "user" && found.uid === uid);
  if (!owned) return { why: `"${path}" is owned by user ${found.uid}`, link };
  // In a sticky folder nobody can replace what root owns, and each entry's owner is looked at.
  const shared = found.isDirectory() && (found.mode & STICKY) !== 0;
  if (!link && !shared && (found.mode & WRITABLE_BY_OTHERS) !== 0)
    return { why: `"${path}" can be written by others than its owner`, link };
  return { why: null, link };
}

function absent(path: string, error: unknown): Untrusted {
  const code = error instanceof Error && "code" in error ? String(error.code) : "ENOENT";
  return { problem: "absent", why: `"${path}" can't be found (${code})` };
}

function untrusted(why: string): Untrusted {
  return { problem: "untrusted", why };
}

interface Stamp {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

const digests = new Map<string, string>();

/** Programs are up to 100 MB, so a digest is kept while the file's times and size stay; nobody but root sets ctime. */
async function digestOf(file: string, { dev, ino, size, mtimeNs, ctimeNs }: Stamp): Promise<string> {
  const key = [dev, ino, size, mtimeNs, ctimeNs].join(":");
  const known = digests.get(key);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  const digest = `sha256:${hash.digest("hex")}`;
  if (digests.size > 200) digests.clear();
  digests.set(key, digest);
  return digest;
}
