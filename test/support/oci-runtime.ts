import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./lab.ts";

/**
 * Puts a shell script before the program that Podman runs as its OCI runtime, which is the engine's own file in the lab;
 * the script runs the true one as `real` with its own arguments. Away again afterwards.
 */
export function beforeRuntime(lab: Lab, script: (real: string) => string): Disposable {
  const path = runtimePath(lab);
  const original = readFileSync(path);
  const real = join(lab.root, "real-runtime");
  put(real, original);
  put(path, `#!/bin/sh\n${script(real)}\n`);
  return { [Symbol.dispose]: () => put(path, original) };
}

function runtimePath(lab: Lab): string {
  const folder = join(lab.home, "state", "podman", "bin");
  const [name = ""] = existsSync(folder) ? readdirSync(folder) : [];
  const path = join(folder, name);
  assert.ok(name !== "" && statSync(path).isFile(), "the runtime is a file of the engine's own");
  return path;
}

/** In the place of one that may just be starting. */
function put(path: string, program: string | Buffer): void {
  const made = join(path, "..", "..", `.made-${String(process.pid)}`);
  writeFileSync(made, program, { mode: 0o755 });
  renameSync(made, path);
}
