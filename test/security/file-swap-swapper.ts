import { renameSync, rmSync, symlinkSync, unlinkSync } from "node:fs";

/**
 * Swaps names of the folder that it works in for symlinks and back, until it is killed; it stays in the folder it has
 * even when the path to that leads elsewhere. Arguments: names, each followed by where its link leads.
 */
const swaps = process.argv.slice(2);

const idle = new Int32Array(new SharedArrayBuffer(4));

process.stdout.write("ready\n");
for (;;) {
  for (let at = 0; at < swaps.length; at += 2) {
    swap(swaps[at] ?? "", swaps[at + 1] ?? "");
    rest();
  }
}

function swap(name: string, target: string): void {
  const kept = `${name}.kept`;
  attempt(() => renameSync(name, kept));
  attempt(() => symlinkSync(target, name));
  rest();
  attempt(() => unlinkSync(name));
  // somebody may have made the name anew meanwhile
  if (attempt(() => renameSync(kept, name))) return;
  attempt(() => rmSync(name, { recursive: true, force: true }));
  attempt(() => renameSync(kept, name));
}

function rest(): void {
  if (Math.random() < 0.3) Atomics.wait(idle, 0, 0, Math.random() * 2);
}

function attempt(step: () => void): boolean {
  try {
    step();
    return true;
  } catch {
    return false;
  }
}
