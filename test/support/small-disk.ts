import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Why a test that needs a small disk is skipped here; false where one can be mounted. */
export const needsMount = process.getuid?.() === 0 ? false : "needs root to mount a small tmpfs";

/** A file system of a size as `mount` has it, e.g. `8m`; gone afterwards. */
export function smallDisk(size: string): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "dw-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=0700`, "doorward-test", path]);
  return {
    path,
    [Symbol.dispose]: () => {
      execFileSync("umount", ["-l", path]);
      rmSync(path, { recursive: true, force: true });
    },
  };
}
