import { linkSync, renameSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";

/**
 * Swaps a folder and files of a scope for links to what lies outside, and back, until it is killed. Arguments: the
 * scope's folder, the folder outside. Short random rests, so that every state is met.
 */
const [root = "", outside = ""] = process.argv.slice(2);
const idle = new Int32Array(new SharedArrayBuffer(4));

process.stdout.write("ready\n");
for (let round = 0; ; round += 1) {
  swap("sub", (path) => symlinkSync(outside, path));
  swap("sub/deep", (path) => symlinkSync(outside, path));
  swap("file", (path) => symlinkSync(join(outside, "file"), path));
  swap("file", (path) => linkSync(join(outside, "file"), path));
  swap("sub/file", (path) => symlinkSync("../../outside/file", path));
  if (round % 50 === 0) Atomics.wait(idle, 0, 0, Math.random() * 2);
}

function swap(name: string, put: (path: string) => void): void {
  const path = join(root, name);
  const kept = join(root, `.kept-${name.replaceAll("/", "-")}`);
  attempt(() => renameSync(path, kept));
  attempt(() => put(path));
  attempt(() => unlinkSync(path));
  attempt(() => renameSync(kept, path));
}

function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // The other steps put everything back.
  }
}
