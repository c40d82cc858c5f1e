import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TranscriptWriter } from "../src/index.ts";

interface Taken {
  readonly writer: TranscriptWriter;
  readonly lines: string[];
}

function transcript(maxBytes = 1_000_000, clock: { now: number } = { now: 0 }): Taken {
  const lines: string[] = [];
  const header = { cols: 80, rows: 24, startedAt: 1_700_000_000.7, title: "lab" };
  const writer = new TranscriptWriter(
    header,
    maxBytes,
    (line) => lines.push(line),
    () => clock.now,
  );
  return { writer, lines };
}

const events = (lines: readonly string[]): [number, string, string][] =>
  lines.slice(1).map((line) => JSON.parse(line) as [number, string, string]);

test("a transcript begins with an asciicast v3 header", () => {
  const { lines } = transcript();
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    version: 3,
    term: { cols: 80, rows: 24, type: "xterm-256color" },
    timestamp: 1_700_000_000,
    title: "lab",
  });
});

test("intervals are seconds since the event before, and their roundings don't add up", () => {
  const clock = { now: 0 };
  const { writer, lines } = transcript(1_000_000, clock);
  for (let i = 1; i <= 1000; i++) {
    clock.now = i * 0.4;
    writer.output(Buffer.from("x"));
  }
  const total = events(lines).reduce((sum, [interval]) => sum + interval, 0);
  assert.ok(Math.abs(total - 0.4) < 0.002, String(total));
});

test("a character that is split over chunks is written whole, wherever the split is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.array(fc.integer({ min: 1, max: 5 })), (text, cuts) => {
      const bytes = Buffer.from(text);
      const { writer, lines } = transcript();
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        writer.output(bytes.subarray(at, at + cut));
        at = Math.min(bytes.length, at + cut);
      }
      writer.end(0);
      const output = events(lines).filter(([, code]) => code === "o");
      assert.equal(output.map(([, , data]) => data).join(""), bytes.toString());
      for (const [, , data] of output)
        assert.ok(!data.includes("\ufffd") || bytes.toString().includes("\ufffd"));
    }),
  );
});

test("resize, markers and the exit code are events of their own", () => {
  const { writer, lines } = transcript();
  writer.resize(100, 30);
  writer.marker("here");
  writer.end(7);
  assert.deepEqual(events(lines), [
    [0, "r", "100x30"],
    [0, "m", "here"],
    [0, "x", "7"],
  ]);
});

test("the byte cap is kept, and a mark says that the rest was cut", () => {
  const { writer, lines } = transcript(4096);
  for (let i = 0; i < 1000; i++) writer.output(Buffer.from("0123456789\u001b[0m"));
  writer.end(0);
  assert.ok(Buffer.byteLength(lines.join("")) <= 4096);
  assert.equal(writer.bytes, Buffer.byteLength(lines.join("")));
  assert.equal(writer.full, true);
  assert.deepEqual(events(lines).at(-1), [0, "m", "transcript cut at 4096 bytes"]);
});

test("a cap that leaves no room for anything is refused", () => {
  assert.throws(() => transcript(100), RangeError);
});
