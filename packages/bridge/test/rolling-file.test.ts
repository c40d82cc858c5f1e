import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { pino } from "pino";
import { openRollingFile, type RollingPlace } from "../src/daemon/rolling-file.ts";

const BYTES = 1_000;
const KEPT = 2;

let folder: string;

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "dw-rolling-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const place = (): RollingPlace => ({
  folder: join(folder, "logs"),
  name: "bridge",
  bytes: BYTES,
  kept: KEPT,
});
const files = (): string[] => readdirSync(join(folder, "logs")).sort();
const read = (file: string): string => readFileSync(join(folder, "logs", file), "utf8");

/** Writes numbered lines, each when the one before is on disk, and closes the file. */
async function writeLines(from: number, to: number): Promise<void> {
  const stream = openRollingFile(place());
  const log = pino({ base: null, timestamp: false }, stream);
  for (let line = from; line < to; line += 1) {
    const drained = once(stream, "drain");
    log.info({ line, filler: "x".repeat(100) });
    await drained;
  }
  const closed = once(stream, "close");
  stream.end();
  await closed;
}

function linesIn(names: readonly string[]): number[] {
  return names
    .flatMap((name) => read(name).trimEnd().split("\n"))
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { line: number }).line);
}

describe("a rolling file", () => {
  it("goes on under the next number when it is full, with whole lines and none lost", async () => {
    await writeLines(0, 20);
    assert.deepEqual(files(), ["bridge.1.log", "bridge.2.log", "bridge.3.log"]);
    assert.deepEqual(
      linesIn(files()),
      Array.from({ length: 20 }, (_each, line) => line),
    );
    assert.ok(statSync(join(folder, "logs", "bridge.1.log")).size >= BYTES);
  });

  it("is added to after a restart, and what is there counts", async () => {
    await writeLines(0, 3);
    await writeLines(3, 5);
    assert.deepEqual(files(), ["bridge.1.log"]);
    await writeLines(5, 12);
    assert.deepEqual(files(), ["bridge.1.log", "bridge.2.log"]);
    assert.deepEqual(
      linesIn(files()),
      Array.from({ length: 12 }, (_each, line) => line),
    );
  });

  it("is kept for a few numbers, also those of runs before", async () => {
    await writeLines(0, 60);
    const kept = files();
    assert.equal(kept.length, KEPT + 1);
    assert.equal(linesIn([...kept].sort((one, other) => numberOf(one) - numberOf(other))).at(-1), 59);
    await writeLines(60, 75);
    assert.equal(files().length, KEPT + 1);
    assert.ok(files().every((file) => !kept.slice(0, 1).includes(file)));
  });

  it("leaves files alone that only look alike", async () => {
    await writeLines(0, 1);
    for (const name of ["bridge-start.log", "bridge.x.log", "bridge.1.log.gz", "other.0.log"])
      writeFileSync(join(folder, "logs", name), "kept");
    await writeLines(1, 60);
    for (const name of ["bridge-start.log", "bridge.x.log", "bridge.1.log.gz", "other.0.log"])
      assert.equal(read(name), "kept");
  });

  it("takes what is written at once without a wait", async () => {
    const stream = openRollingFile(place());
    const log = pino({ base: null, timestamp: false }, stream);
    for (let line = 0; line < 300; line += 1) log.info({ line, filler: "x".repeat(100) });
    const closed = once(stream, "close");
    stream.end();
    await closed;
    const seen = linesIn(files().sort((one, other) => numberOf(one) - numberOf(other)));
    assert.equal(seen.at(-1), 299);
  });
});

function numberOf(file: string): number {
  return Number(file.split(".")[1]);
}
