import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import type { Cli } from "../src/cli/cli.ts";
import { Output } from "../src/cli/output.ts";
import { buildProgram } from "../src/cli/program.ts";
import { wrapped } from "../src/cli/wrapped.ts";

const TEXT =
  "machines work without an identity of their own, and a break-out would act as whoever started them";

function cli(columns: number | undefined): Cli {
  const stream = Object.assign(new PassThrough(), columns === undefined ? {} : { isTTY: true, columns });
  const { signal } = new AbortController();
  const streams = { stdin: new PassThrough(), stdout: stream, stderr: stream };
  return { ...streams, env: {}, cwd: "/", script: undefined, signal, passthrough: [], exitCode: 0 };
}

const output = (columns?: number) => new Output(cli(columns), { json: false, color: false });

test("text takes the terminal's width, a wide one and a narrow one, and stays whole elsewhere", () => {
  assert.equal(output(200).wrap(TEXT, 11), TEXT);
  assert.equal(output().wrap(TEXT, 11), TEXT);
  const lines = output(60).wrap(TEXT, 11).split("\n");
  assert.ok(lines.length > 1);
  for (const [at, line] of lines.entries()) {
    assert.ok(line.length + (at === 0 ? 11 : 0) <= 60, line);
    if (at > 0) assert.match(line, /^ {11}\S/);
  }
});

test("no word is cut or lost, whatever the width", () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z/]{1,40}$/)),
      fc.nat(40),
      fc.nat(200),
      (words, indent, width) => {
        const text = words.join(" ");
        assert.deepEqual(wrapped(text, indent, width).split(/\s+/), text.split(/\s+/));
      },
    ),
  );
});

test("help takes the width of the stream that it is written to, and 80 columns where that is no terminal", async () => {
  const longest = async (columns?: number): Promise<number> => {
    const program = await buildProgram(cli(columns), ["connect"]);
    const connect = program.commands.find((each) => each.name() === "connect");
    let said = "";
    connect?.configureOutput({ writeOut: (text) => (said += text) }).outputHelp();
    const options = said.slice(0, said.indexOf("Examples:"));
    return Math.max(...options.split("\n").map((line) => line.length));
  };
  assert.ok((await longest()) <= 80);
  const [narrow, wide] = [await longest(70), await longest(200)];
  assert.ok(narrow <= 70, String(narrow));
  assert.ok(wide > 100, String(wide));
});
