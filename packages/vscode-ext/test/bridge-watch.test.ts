import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { BridgeWatch, type BridgeState } from "../src/bridge-watch.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "dw-ext-"));
  mkdirSync(join(home, "run"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** The first state that the watch tells. */
function told(watch: BridgeWatch): Promise<BridgeState> {
  return new Promise((resolve) => watch.onState(resolve));
}

test("without a bridge it is absent, and nothing waits", async () => {
  await using watch = new BridgeWatch({ DOORWARD_HOME: home });
  const state = await told(watch);
  assert.equal(state.kind, "absent");
  assert.equal(watch.pending("a_aaaaaaaaaaaa"), undefined);
});

test("an editor that acts for a grant decides nothing, and connects nowhere", async () => {
  const server = await listening();
  try {
    await using watch = new BridgeWatch({ DOORWARD_HOME: home, DOORWARD_TOKEN: "dwg_x" });
    const state = await told(watch);
    assert.equal(state.kind === "refused" && state.error.code, "OPERATOR_ONLY");
    await assert.rejects(watch.decide("a_aaaaaaaaaaaa", { kind: "deny" }), { code: "OPERATOR_ONLY" });
  } finally {
    server.close();
  }
});

test("a folder for sockets that is a link is not trusted", async () => {
  rmSync(join(home, "run"), { recursive: true });
  mkdirSync(join(home, "planted"));
  symlinkSync(join(home, "planted"), join(home, "run"));
  await using watch = new BridgeWatch({ DOORWARD_HOME: home });
  const state = await told(watch);
  assert.equal(state.kind === "refused" && state.error.code, "STATE_UNSAFE");
});

test("a home that is no absolute path is refused with the reason", async () => {
  await using watch = new BridgeWatch({ DOORWARD_HOME: "not/absolute" });
  const state = await told(watch);
  assert.equal(state.kind === "refused" && state.error.code, "INPUT_INVALID");
});

/** Something at the bridge's socket that fails the test when it is asked. */
async function listening(): Promise<Server> {
  const server = createServer(() => assert.fail("it was asked"));
  const path = join(home, "run", "bridge.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o600);
  return server;
}
