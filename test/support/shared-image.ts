import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { resolveRecipe } from "../../packages/bridge/src/machines/images/image-recipe.ts";

/** The built command, as a user of this checkout has it. */
export const doorward = fileURLToPath(new URL("../../packages/bridge/bin/doorward.js", import.meta.url));

const home =
  process.env["DOORWARD_TEST_HOME"] ?? `/var/tmp/doorward-test-${String(process.getuid?.() ?? "user")}`;
const recipe = resolveRecipe(
  { name: "machine", buildTools: false },
  process.env["DOORWARD_IMAGE_BASE"] ?? null,
);

/**
 * Podman storage that has the machine image: built once (a minute) and used read-only by every test bridge. It belongs
 * to an installation of its own, whose bridge runs only for the build.
 */
export async function sharedImageStore(): Promise<string> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const store = storeWithImage();
    if (store !== null) return store;
    // Test files that come here at the same time share one build; whoever ends first stops the bridge.
    await run(["image", "build"]);
    await run(["bridge", "stop"]);
  }
  throw new Error(`Cannot build the machine image: DOORWARD_HOME=${home} doorward image build`);
}

function storeWithImage(): string | null {
  try {
    const memo = join(home, "state", "podman", "storage-folder");
    const store = join(readFileSync(memo, "utf8"), "storage");
    const images = readFileSync(join(store, "overlay-images", "images.json"), "utf8");
    return images.includes(recipe.tag) ? store : null;
  } catch {
    return null;
  }
}

function run(args: readonly string[]): Promise<void> {
  const env = { ...process.env, DOORWARD_HOME: home };
  const child = spawn(process.execPath, [doorward, ...args], { env, stdio: "ignore" });
  return new Promise((resolve) => child.once("close", () => resolve()));
}
