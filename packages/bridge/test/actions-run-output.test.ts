import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { keepOutput } from "../src/actions/run/bounded-output.ts";
import { lastOutput } from "../src/actions/run/last-output.ts";

const BYTES = 150_000;

/** A program that writes, says so in a folder, and then holds its streams open, as whoever it handed them to would. */
async function writer(use: (child: ReturnType<typeof spawn>, wrote: () => boolean) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), "doorward-output-"));
  const mark = join(folder, "wrote");
  const script = `head -c ${String(BYTES)} /dev/zero; touch ${mark}; exec sleep 600`;
  const child = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    await use(child, () => existsSync(mark));
  } finally {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The whole process stands still, timers and streams alike, for the time and until it is so. */
function standStill(ms: number, until: () => boolean): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, ms);
  while (!until()) Atomics.wait(cell, 0, 0, 50);
}

test("what a program wrote is kept when this process stood still for longer than streams are waited for", () =>
  writer(async (child, wrote) => {
    assert.ok(child.stdout !== null);
    const kept = keepOutput(child.stdout, 1_000_000);
    const waiting = lastOutput(once(child, "close"));
    standStill(2_500, wrote);
    await waiting;
    child.stdout.destroy();
    assert.equal(kept.bytes().length, BYTES);
  }));

test("streams that close are waited for no longer", () =>
  writer(async (child, wrote) => {
    assert.ok(child.stdout !== null);
    const kept = keepOutput(child.stdout, 1_000_000);
    const closed = once(child, "close").then(() => "closed" as const);
    standStill(0, wrote);
    child.kill("SIGKILL");
    const first = await Promise.race([closed, lastOutput(closed).then(() => "given up" as const)]);
    assert.equal(first, "closed");
    assert.equal(kept.bytes().length, BYTES);
  }));
