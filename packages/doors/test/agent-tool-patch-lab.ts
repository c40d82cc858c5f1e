import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { WatchedFiles, callTool, sessionAt, tempFolder } from "./agent-tool-lab.ts";

type Tree = Readonly<Record<string, string>>;

/** A folder with these files, and what the tool makes of it. */
export async function lab(tree: Tree) {
  const folder = await tempFolder();
  await fill(folder.path, tree);
  const files = new WatchedFiles([{ path: folder.path, access: "rw" }], folder.path);
  const session = sessionAt(folder.path, { files });
  return {
    files,
    path: folder.path,
    patch: (patch: string) => callTool(session, "apply_patch", { patch }),
    now: () => treeAt(folder.path),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function fill(folder: string, tree: Tree): Promise<void> {
  for (const [path, content] of Object.entries(tree)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content, "latin1");
  }
}

async function treeAt(folder: string): Promise<Tree> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const at = join(entry.parentPath, entry.name);
    found[at.slice(folder.length + 1)] = await readFile(at, "latin1");
  }
  return found;
}

/** Bytes of a text in UTF-8, as trees here have them. */
export function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}

/** What a patch makes of one file. */
export async function patched(before: string, ...patch: string[]): Promise<string | undefined> {
  await using at = await lab({ f: before });
  await at.patch(patch.join("\n"));
  return (await at.now())["f"];
}

/** A patch of an envelope with these lines. */
export function envelope(...lines: string[]): string {
  return ["*** Begin Patch", ...lines, "*** End Patch"].join("\n");
}

/** A patch of an envelope that updates `f`. */
export function updating(...lines: string[]): string {
  return envelope("*** Update File: f", ...lines);
}
