import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandOutput, KEPT_CHARACTERS, textOf } from "../src/agent-tool/commands/command-output.ts";
import { ModelText, plain } from "../src/agent-tool/commands/model-text.ts";
import { programOf } from "../src/agent-tool/commands/program-of.ts";

/** A text in pieces of so many bytes. */
function inPieces(text: string | Buffer, size: number): string {
  const bytes = Buffer.from(text);
  const model = new ModelText();
  let all = "";
  for (let at = 0; at < bytes.length; at += size) all += model.push(bytes.subarray(at, at + size));
  return all + model.end();
}

const NOISY =
  "a\u001b[31mred\u001b[0m \u001b]0;a title\u0007b\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\ " +
  "\u001b(Bz\u001bPq;dcs\u001b\\ü€😀\r\nline\rover\u0000nul\u001bM\u001b7\u009b1mend";

test("escape sequences, controls and line ends are made plain", () => {
  assert.equal(plain(NOISY), "ared blink zü€😀\nline\novernulend");
});

test("what is split anywhere reads the same", () => {
  for (let size = 1; size <= 40; size += 1) assert.equal(inPieces(NOISY, size), plain(NOISY), String(size));
});

test("what is no UTF-8 becomes U+FFFD, also at the very end", () => {
  assert.equal(inPieces(Buffer.from([0x61, 0xff, 0x62, 0xf0, 0x9f]), 1), "a\ufffdb\ufffd");
});

test("a sequence that never ends is not held for ever", () => {
  const model = new ModelText();
  let all = model.push(Buffer.from("before \u001b]"));
  for (let left = 10; left > 0; left -= 1) all += model.push(Buffer.alloc(1000, 0x78));
  assert.match(all + model.end(), /^before .*x{4000}$/s);
});

test("megabytes of broken sequences take no time to speak of", () => {
  // Time that was computed: on a busy host others take their share of what passes.
  const before = process.cpuUsage();
  inPieces(Buffer.from("\u001b]\u001b[".repeat(200_000)), 65_536);
  inPieces(Buffer.alloc(1_000_000, 0x1b), 65_536);
  assert.ok(process.cpuUsage(before).user / 1000 < 5000);
});

test("output keeps its start and its newest part, and counts what is between", () => {
  const output = new CommandOutput();
  for (let at = 0; at < 200_000; at += 1) output.add(at % 2 === 0 ? "stdout" : "stderr", `${String(at)}\n`);
  assert.match(textOf(output.head(10).parts), /^0\n1\n2\n3\n4\n$/);
  const page = output.page(0, 100);
  assert.ok(page.lost > 0);
  assert.equal(page.next, page.lost + 100);
  assert.match(textOf(output.page(output.total - 7, 100).parts), /^199999\n$/);
});

test("one huge piece is cut like many small ones", () => {
  const output = new CommandOutput();
  for (let left = 20; left > 0; left -= 1) output.add("stdout", "x".repeat(100_000));
  assert.equal(output.total, 2_000_000);
  assert.ok(output.total - output.page(0, 1).next + 1 <= KEPT_CHARACTERS);
});

test("a page never ends in half a character", () => {
  const output = new CommandOutput();
  output.add("stdout", "a😀😀");
  const first = output.page(0, 2);
  assert.equal(textOf(first.parts), "a");
  assert.equal(textOf(output.page(first.next, 4).parts), "😀😀");
});

test("output of many turns is shown as one mixed part, and nothing of it is lost", () => {
  const output = new CommandOutput();
  for (let at = 0; at < 600; at += 1) output.add(at % 2 === 0 ? "stdout" : "stderr", "x");
  const { parts } = output.page(0, 10_000);
  assert.deepEqual(
    parts.map(({ stream, text }) => [stream, text.length]),
    [["mixed", 600]],
  );
});

test("the program of a line is its first plain word, and never an argument", () => {
  for (const [line, program] of [
    ["npm test", "npm"],
    ["/usr/bin/git status", "git"],
    ["cd /workspace/shop && TOKEN=secret make all", "make"],
    ["env nice time cargo build", "cargo"],
    ["timeout 10s ./run.sh --key x", "run.sh"],
    ["echo hi > file", "echo"],
    ["for file in *; do secret; done", "bash"],
    ["cd src && if true; then make; fi", "bash"],
    ["$(curl secret)", "bash"],
    ["'sec ret' x", "bash"],
    ["", "bash"],
  ] as const)
    assert.equal(programOf(line, "bash"), program, line);
});
