import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { FirstAbort } from "../src/first-abort.ts";

test("it aborts with the reason of the first", () => {
  const [one, other] = [new AbortController(), new AbortController()];
  using either = new FirstAbort(one.signal, other.signal);
  assert.equal(either.signal.aborted, false);
  other.abort("enough");
  one.abort("late");
  assert.deepEqual([either.signal.aborted, either.signal.reason], [true, "enough"]);
});

test("of one that is aborted already it is aborted from the start", () => {
  using either = new FirstAbort(new AbortController().signal, AbortSignal.abort("before"));
  assert.deepEqual([either.signal.aborted, either.signal.reason], [true, "before"]);
});

test("one that was disposed aborts no more", () => {
  const source = new AbortController();
  const either = new FirstAbort(source.signal);
  either[Symbol.dispose]();
  either[Symbol.dispose]();
  source.abort();
  assert.equal(either.signal.aborted, false);
});

test("a thousand at once are one listener, and none is left when they are disposed", () => {
  const { signal } = new AbortController();
  const many = Array.from({ length: 1000 }, () => new FirstAbort(signal));
  assert.equal(getEventListeners(signal, "abort").length, 1);
  for (const one of many) one[Symbol.dispose]();
  assert.equal(getEventListeners(signal, "abort").length, 0);
});
