import { renameSync, symlinkSync, unlinkSync } from "node:fs";

/**
 * Swaps paths for symlinks to a folder outside and back, with short random pauses, until it is killed. Arguments: the
 * folder outside, then the paths, relative to its working folder: like a machine, it stays in the repo it has even
 * when the path to that repo leads elsewhere.
 */
const [outside = "", ...paths] = process.argv.slice(2);

const idle = new Int32Array(new SharedArrayBuffer(4));

process.stdout.write("ready\n");
for (;;) {
  for (const path of paths) {
    attempt(() => renameSync(path, `${path}.kept`));
    attempt(() => symlinkSync(outside, path));
    attempt(() => unlinkSync(path));
    attempt(() => renameSync(`${path}.kept`, path));
    Atomics.wait(idle, 0, 0, Math.random() * 4);
  }
}

function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // The other steps put everything back.
  }
}
