import assert from "node:assert/strict";
import { test } from "node:test";
import {
  GUEST_PROTOCOLS,
  StreamOpen,
  agreeOnProtocol,
  ConnectionHello,
  ControlFromGuest,
} from "../src/protocol.ts";

test("the newest common protocol is agreed on, in whatever order the versions come", () => {
  assert.equal(agreeOnProtocol([2, 1], [1, 2]), 2);
  assert.equal(agreeOnProtocol([2, 1], [1]), 1);
  assert.equal(agreeOnProtocol([1], [3, 2, 1]), 1);
});

test("without a common protocol nothing is agreed on", () => {
  assert.equal(agreeOnProtocol([2, 1], [3]), undefined);
});

test("this build speaks this and the previous protocol", () => {
  assert.deepEqual(GUEST_PROTOCOLS, [3, 2]);
});

const exec = { kind: "exec", argv: ["true"], cwd: null, env: {}, stdin: false };

test("a stream for an unknown purpose is refused", () => {
  assert.equal(StreamOpen.safeParse(exec).success, true);
  assert.equal(StreamOpen.safeParse({ ...exec, kind: "file" }).success, false);
  assert.equal(StreamOpen.safeParse({ ...exec, uid: 0 }).success, false);
});

test("arguments with a NUL, empty ones as program list, and odd variable names are refused", () => {
  assert.equal(StreamOpen.safeParse({ ...exec, argv: ["a\u0000b"] }).success, false);
  assert.equal(StreamOpen.safeParse({ ...exec, argv: [] }).success, false);
  assert.equal(StreamOpen.safeParse({ ...exec, env: { "A=B": "c" } }).success, false);
});

test("a relative working folder is refused", () => {
  assert.equal(StreamOpen.safeParse({ ...exec, cwd: "src" }).success, false);
});

test("a hello with unknown fields or a short nonce is refused", () => {
  assert.equal(ConnectionHello.safeParse({ connection: "stream", nonce: "short" }).success, false);
  assert.equal(
    ConnectionHello.safeParse({ connection: "stream", nonce: "A".repeat(22), root: true }).success,
    false,
  );
});

test("an answer with more terminals than a machine can have is refused", () => {
  const terminals = Array.from({ length: 513 }, () => ({}));
  assert.equal(ControlFromGuest.safeParse({ what: "terminals", id: 1, terminals }).success, false);
});
