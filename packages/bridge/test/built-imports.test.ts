import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";

const packages = join(import.meta.dirname, "..", "..");

it("built code imports no TypeScript file", (t) => {
  const folders = readdirSync(packages)
    .map((name) => join(packages, name, "dist"))
    .filter((folder) => existsSync(folder));
  if (folders.length === 0) {
    t.skip("nothing is built");
    return;
  }
  const wrong = folders
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
    )
    .filter((file) => file.endsWith(".js") && /\bimport\("\.[^"]+\.ts"\)/.test(readFileSync(file, "utf8")));
  assert.deepEqual(wrong, []);
});
