import { createHash } from "node:crypto";
import { lstatSync } from "node:fs";
import { lstat, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as z from "zod";
import { holdFolder } from "../../policy/index.ts";
import { walkTree, type Visitor, type WalkEntry } from "../mounts/walk-tree.ts";

const Reviewed = z.strictObject({ head: z.string().max(64), state: z.string().max(80) });

// Made by tools from what is in the repo; nobody reviews them.
const PRODUCTS = new Set([
  "node_modules",
  ".venv",
  "venv",
  "__pycache__",
  "target",
  "dist",
  "build",
  ".cache",
  ".next",
  ".tox",
]);

/** Remembers that a clone in this state holds nothing that was not reviewed; `head` is the commit that was brought. */
export async function storeReviewed(clone: string, head: string, state: string): Promise<void> {
  const path = join(dirname(clone), "reviewed.json");
  await writeFile(`${path}.new`, JSON.stringify({ head, state }), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/**
 * Whether a clone changed since it was made or last brought back. Judged from names, sizes and times alone, because
 * git must not run there and the machine may be stopped; a file that was only touched counts as changed.
 */
export async function hasUnreviewedChanges(clone: string): Promise<boolean> {
  const present = await lstat(clone).catch(() => null);
  if (present === null) return false;
  const text = await readFile(join(dirname(clone), "reviewed.json"), "utf8").catch(() => null);
  if (text === null) return true;
  const reviewed = Reviewed.safeParse(JSON.parse(text));
  return !reviewed.success || reviewed.data.state !== (await cloneState(clone));
}

/** What a clone looks like: names, sizes, times and modes of what a reviewer would care about, as a digest. */
export async function cloneState(clone: string): Promise<string> {
  await using held = await holdFolder(clone, { path: clone, access: "ro", rule: "policy.review" });
  const lines: string[] = [];
  await walkTree(held.fd, new States(lines));
  return createHash("sha256").update(lines.sort().join("\n")).digest("hex");
}

class States implements Visitor {
  readonly #lines: string[];

  constructor(lines: string[]) {
    this.#lines = lines;
  }

  folder(): void {
    // Names are what counts; a folder's own times change with builds.
  }

  entry({ path, name, dirent, at }: WalkEntry): boolean {
    if (dirent.isDirectory()) return !PRODUCTS.has(name) && isOfInterest(path);
    if (!isOfInterest(path)) return false;
    const { size, mtimeMs, mode } = lstatSync(at);
    this.#lines.push(`${path}\0${size}\0${mtimeMs}\0${mode}`);
    return false;
  }
}

/** Of a git folder only what commits move. */
function isOfInterest(path: string): boolean {
  if (!path.startsWith(".git/")) return true;
  return /^\.git\/(?:HEAD|packed-refs|refs(?:\/(?!doorward).*)?)$/.test(path);
}
