import assert from "node:assert/strict";
import { test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import { OutputWindow } from "../src/terminal/output-window.ts";
import { Quota } from "../src/terminal/quota.ts";

test("a window closes when it is full and opens with an acknowledgement", () => {
  const window = new OutputWindow(100, 5000);
  assert.equal(window.send(99), true);
  assert.equal(window.send(1), false);
  window.acknowledge(5001);
  assert.equal(window.open, true);
});

test("what was not sent can't be acknowledged", () => {
  const window = new OutputWindow(100, 0);
  window.send(10);
  assert.throws(
    () => window.acknowledge(11),
    (error) => error instanceof DoorwardError && error.code === "PROTOCOL_ERROR",
  );
});

test("an old acknowledgement does not take a newer one back", () => {
  const window = new OutputWindow(100, 0);
  window.send(100);
  window.acknowledge(100);
  window.acknowledge(10);
  assert.equal(window.open, true);
});

test("a gap neither opens nor closes the window", () => {
  const window = new OutputWindow(100, 0);
  window.send(100);
  window.skip(9000);
  assert.equal(window.open, false);
  window.acknowledge(9000);
  assert.equal(window.open, true);
  window.skip(20_000);
  assert.equal(window.open, true);
});

test("a quota refuses one too many, per key, and takes places back once", () => {
  const quota = new Quota("viewer", "rule");
  const first = quota.take("a", 1);
  assert.throws(
    () => quota.take("a", 1),
    (error) => error instanceof DoorwardError && error.code === "RATE_LIMITED",
  );
  quota.take("b", 1);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  quota.take("a", 1);
  assert.throws(() => quota.take("a", 1));
});
