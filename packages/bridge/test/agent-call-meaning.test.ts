import assert from "node:assert/strict";
import { test } from "node:test";
import { meaningOf } from "../../doors/src/agent-tool/call-meaning.ts";
import { runCommand } from "../../doors/src/agent-tool/tools/run-command.ts";

const meaning = (command: string, more: object = {}) =>
  meaningOf(runCommand, { command, ...more }, "/workspace/shop");

test("blanks that no shell looks at make no other command", () => {
  for (const same of ["  rm -rf build", "rm  -rf \t build\n", "rm -rf build "])
    assert.deepEqual(meaning(same), meaning("rm -rf build"));
  assert.deepEqual(meaning("rm -rf build", { timeout_seconds: 5 }), meaning("rm -rf build"));
});

test("blanks that may be quoted, and lines, stay what they are", () => {
  for (const [one, other] of [
    ["rm 'a  b'", "rm 'a b'"],
    ['rm "a  b"', 'rm "a b"'],
    ["rm a\\  b", "rm a\\ b"],
    ["cat <<E\na  b\nE", "cat <<E\na b\nE"],
    ["echo `echo 'a  b'`", "echo `echo 'a b'`"],
    ["rm a\\ ", "rm a\\"],
  ] as const)
    assert.notDeepEqual(meaning(one), meaning(other));
});

test("the same in other words is another command, which is asked about", () => {
  for (const other of ["sh -c 'rm -rf build'", "rm -r -f build", "cd . && rm -rf build", "rm -rf build # x"])
    assert.notDeepEqual(meaning(other), meaning("rm -rf build"));
});
