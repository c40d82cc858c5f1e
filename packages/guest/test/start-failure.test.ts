import assert from "node:assert/strict";
import { constants } from "node:os";
import { test } from "node:test";
import { KernelError, startFailure } from "../src/inside/start-failure.ts";

const { EAGAIN, ENOMEM, EMFILE, ENFILE, E2BIG, EACCES, ENOENT, ENOEXEC } = constants.errno;
const codeOf = (errno: number) => startFailure(KernelError.of(errno, 'Cannot run "make"')).code;

test("a machine without processes, memory or descriptors is at its limit; no program is said to be missing", () => {
  for (const errno of [EAGAIN, ENOMEM, EMFILE, ENFILE]) assert.equal(codeOf(errno), "PROCESS_LIMIT");
});

test("what Node's own spawn refuses means the same as what the C library refuses", () => {
  const error = Object.assign(new Error("spawn make EAGAIN"), { code: "EAGAIN" });
  assert.deepEqual(startFailure(error), startFailure(KernelError.of(EAGAIN, "")));
});

test("arguments that are too long are the caller's fault", () => {
  assert.equal(codeOf(E2BIG), "INPUT_INVALID");
});

test("a program that is not there, or that nobody may run, is not found", () => {
  for (const errno of [EACCES, ENOENT, ENOEXEC]) assert.equal(codeOf(errno), "COMMAND_NOT_FOUND");
});

test("an error that nobody knows keeps its own words", () => {
  assert.deepEqual(startFailure(new Error("odd")), { code: "COMMAND_NOT_FOUND", why: "odd" });
  assert.match(startFailure(KernelError.of(ENOEXEC, "Cannot run it")).why, /^Cannot run it: /);
});
