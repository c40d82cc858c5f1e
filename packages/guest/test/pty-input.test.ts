import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PtyInput } from "../src/inside/pty-input.ts";

class Busy extends Error {
  readonly code = "EAGAIN";
}

test("what the kernel does not take is written later, in order, although the caller's buffer was reused", async () => {
  let room = 4;
  let taken = "";
  const input = new PtyInput((bytes) => {
    if (room === 0) throw new Busy();
    const part = bytes.subarray(0, room);
    room -= part.length;
    taken += part.toString();
    return part.length;
  });
  const buffer = Buffer.from("hello ");
  let drained = 0;
  input.write(buffer, () => (drained += 1));
  buffer.fill("X");
  input.write(Buffer.from("world"), () => (drained += 1));
  assert.equal(taken, "hell");
  room = 100;
  await sleep(50);
  assert.equal(taken, "hello world");
  assert.equal(drained, 2);
});

test("closing drops what waits and tells everyone", () => {
  const input = new PtyInput(() => {
    throw new Busy();
  });
  let drained = 0;
  input.write(Buffer.from("a"), () => (drained += 1));
  input.write(Buffer.from("b"), () => (drained += 1));
  assert.equal(drained, 0);
  input.close();
  assert.equal(drained, 2);
});

test("input for a program that is gone counts as written", () => {
  const input = new PtyInput(() => {
    throw new Error("EIO");
  });
  let drained = 0;
  input.write(Buffer.from("a"), () => (drained += 1));
  assert.equal(drained, 1);
});
