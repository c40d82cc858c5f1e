import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { handOver, takeOver } from "../src/exec-request.ts";

const request = {
  url: "unix:/run/x/bridge.sock",
  token: "dwg_secret",
  machine: "shop",
  argv: ["true"],
  cwd: "/workspace/shop",
  env: {},
};

test("a request with its token is handed over in a file that only this user can read, once", () => {
  const path = handOver(request);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
  assert.ok(!path.includes("dwg_"), "its name tells nothing");
  assert.deepEqual(takeOver(path), request);
  assert.equal(existsSync(path), false);
  assert.throws(() => takeOver(path), /ENOENT/);
});

test("what is no file of ours is refused", () => {
  assert.throws(() => takeOver(dirname(handOver(request))), /EISDIR/);
  assert.throws(() => takeOver(""), /ENOENT/);
});
