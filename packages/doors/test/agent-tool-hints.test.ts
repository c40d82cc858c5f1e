import assert from "node:assert/strict";
import { test } from "node:test";
import { DoorwardError, type ErrorCode } from "@doorward/contracts";
import { failureOf } from "../src/agent-tool/call-failure.ts";

function hintOf(code: ErrorCode, hint?: string): string | null {
  return failureOf(new DoorwardError({ code, message: "It failed", ...(hint === undefined ? {} : { hint }) }))
    .hint;
}

test("what a tool itself says comes before what is said of all errors of its kind", () => {
  assert.equal(hintOf("PATH_NOT_ALLOWED", "Call list_directory"), "Call list_directory");
  assert.match(hintOf("PATH_NOT_FOUND") ?? "", /list_directory or find_files/);
  assert.match(hintOf("PROCESS_LIMIT") ?? "", /stop_command/);
  assert.equal(hintOf("OPERATION_NOT_GRANTED", "Use read_file instead"), "Use read_file instead");
  assert.equal(hintOf("PATH_CHANGED", "Read it again"), "Read it again");
});

test("a model is not told commands of the operator where there is advice for it", () => {
  assert.match(hintOf("OPERATION_NOT_GRANTED", "doorward grant create shop") ?? "", /use another tool/);
  assert.match(hintOf("MACHINE_NOT_RUNNING", "doorward start shop") ?? "", /ask the operator/);
  assert.match(hintOf("EGRESS_ADDRESS_DENIED", "A rule under egress.allow") ?? "", /only the operator/);
  assert.match(hintOf("INTERNAL", "Look into the log") ?? "", /tell the user/);
});

test("an error without a hint has the advice of its kind, or none", () => {
  assert.match(hintOf("PATH_NOT_ALLOWED") ?? "", /folders that the grant covers/);
  assert.match(hintOf("PATH_NOT_DIRECTORY") ?? "", /read_file/);
  assert.match(hintOf("PATH_CHANGED") ?? "", /Read it again/);
  assert.equal(hintOf("INPUT_INVALID"), null);
});
