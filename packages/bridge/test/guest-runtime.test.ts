import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { runCommand } from "@doorward/guest";
import {
  ensureGuestRuntime,
  listenForGuest,
  pruneGuestRuntimes,
  type GuestRuntimeFolder,
} from "../src/machines/guest/index.ts";
import { Watcher, creating, guestBundle, quiet, soon, stop } from "./guest-harness.ts";

let stateDir: string;
let runtime: GuestRuntimeFolder;
before(async () => {
  guestBundle();
  stateDir = await mkdtemp(join(tmpdir(), "dw-runtime-"));
  runtime = await ensureGuestRuntime({ stateDir, log: quiet });
});
after(async () => {
  await pruneGuestRuntimes(stateDir, new Set());
  await rm(stateDir, { recursive: true, force: true });
});

/** The command as it runs where the folder is, instead of where it is mounted. */
const here = (command: readonly string[]): string[] =>
  command.map((part) => part.replace("/opt/dw", runtime.path));

test("the folder holds what a machine needs, readable by anyone and writable by nobody", async () => {
  const names = (await readdir(runtime.path, { recursive: true })).sort();
  for (const name of ["bin/node", "bin/rg", "guest.mjs", "pty.node", "ffi.node", "lib/libc.so.6"])
    assert.ok(names.includes(name), name);
  assert.ok(!names.some((name) => name.endsWith(".h")));
  for (const name of [".", ...names]) {
    const { mode } = await stat(join(runtime.path, name));
    assert.equal(mode & 0o222, 0, name);
    assert.equal(mode & 0o444, 0o444, name);
  }
});

test("the digest does not depend on time or place", async () => {
  const other = await mkdtemp(join(tmpdir(), "dw-runtime-"));
  const again = await ensureGuestRuntime({ stateDir: other, log: quiet });
  assert.equal(again.digest, runtime.digest);
  assert.deepEqual(again.command, runtime.command);
  assert.notEqual(again.path, runtime.path);
  await pruneGuestRuntimes(other, new Set());
  await rm(other, { recursive: true });
});

test("a whole folder is used again, quickly", async () => {
  const { ino } = await stat(runtime.path);
  // Time that was computed: on a busy host others take their share of what passes.
  const before = process.cpuUsage();
  const again = await ensureGuestRuntime({ stateDir, log: quiet });
  const { user, system } = process.cpuUsage(before);
  assert.ok((user + system) / 1000 < 500);
  assert.equal((await stat(again.path)).ino, ino);
});

test("a folder that was changed is made anew", async () => {
  const bundle = join(runtime.path, "guest.mjs");
  await chmod(bundle, 0o644);
  await writeFile(bundle, "evil");
  await chmod(bundle, 0o444);
  await ensureGuestRuntime({ stateDir, log: quiet });
  assert.ok((await stat(bundle)).size > 10_000);
});

test("what a killed bridge left half made is removed", async () => {
  const half = join(stateDir, "guest", "abc.new-123456");
  await mkdir(half);
  await rm(join(stateDir, "guest", "digests.json"));
  await chmod(join(runtime.path, "pty.node"), 0o644);
  await ensureGuestRuntime({ stateDir, log: quiet });
  await assert.rejects(stat(half));
});

test("the folder's own loader and Node run the guest, with terminals and pipes", async () => {
  const socketPath = join(stateDir, "m", "guest.sock");
  const link = await listenForGuest({ socketPath, log: quiet });
  const [program = "", ...args] = here(runtime.command);
  const guest = spawn(program, [...args, "--socket", socketPath], {
    env: { PATH: process.env["PATH"] },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const hello = await link.ready(soon());
  assert.match(hello.runtime, /^v24\./);
  using watcher = await Watcher.open(link, creating());
  await watcher.see("$ ");
  assert.equal((await runCommand(link, { argv: ["echo", "hi"] }, soon())).stdout.toString(), "hi\n");
  const health = await link.health(soon());
  assert.equal(health.pipes, true);
  assert.ok(health.rssBytes < 70 * 1_048_576, `${String(health.rssBytes / 1_048_576)} MiB`);
  await link[Symbol.asyncDispose]();
  await stop(guest);
});

test("folders that no machine uses are removed, others stay", async () => {
  const unused = "a".repeat(64);
  await mkdir(join(stateDir, "guest", unused), { mode: 0o555 });
  const gone = await pruneGuestRuntimes(stateDir, new Set([runtime.digest]));
  assert.deepEqual(gone, [`sha256:${unused}`]);
  await promisify(execFile)(join(runtime.path, "bin/node"), ["--version"]);
});
