import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { prepareFolders, releaseFolders } from "../src/machines/podman/engine-folders.ts";
import { checkRuntime, createFolders, resolveFolders } from "../src/state/index.ts";

const asRoot = { skip: process.getuid?.() === 0 ? false : "only root opens folders to machines" };

test(
  "the user's own folder under /tmp stays closed to others, so that the next start accepts it",
  asRoot,
  async (t) => {
    const home = mkdtempSync("/var/tmp/dw-folders-");
    const state = join(home, "state");
    const folders = resolveFolders({ XDG_STATE_HOME: state, XDG_CONFIG_HOME: join(home, "config") });
    t.after(() => {
      for (const path of [home, folders.runtime]) rmSync(path, { recursive: true, force: true });
    });
    assert.equal(dirname(folders.runtime), "/tmp", "no runtime folder of the session is used");
    createFolders(folders);
    const engine = prepareFolders(folders.state, folders.runtime, "boot");
    t.after(() => rmSync(engine.run, { recursive: true, force: true }));
    assert.equal(statSync(folders.runtime).mode & 0o777, 0o700);
    assert.doesNotThrow(() => checkRuntime(folders));
    assert.doesNotThrow(() => createFolders(folders));
    await releaseFolders(engine);
  },
);
