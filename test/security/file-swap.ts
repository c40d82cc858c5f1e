import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DoorwardError } from "@doorward/contracts";
import { openGuestFiles, type FileChange, type GuestFiles } from "@doorward/guest";
import { startLab } from "../../packages/bridge/test/guest-harness.ts";
import { toolAttempts, type ToolAttempt } from "./file-swap-tools.ts";

/**
 * Attacks the files of a guest: while a stream that reaches one folder reads, lists, searches and changes files in it,
 * another process swaps names on the way for symlinks to a folder outside. Nothing of that folder may be told, and
 * nothing in it may change; refusals tell nothing of it either. A part of the attempts are calls of file tools.
 * Usage: file-swap.ts [ATTEMPTS [OF_THEM_BY_TOOLS]]
 */
const attempts = Number(process.argv[2] ?? 2000);
const byTools = Number(process.argv[3] ?? Math.ceil(attempts / 5));
const AT_ONCE = 16;
const MARK = "OUTSIDE";

// In memory where that can be: a hundred thousand times fsync says nothing about links.
const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const base = realpathSync(mkdtempSync(join(memory, "doorward-file-swap-")));
const granted = join(base, "granted");
const outside = join(base, "outside");
const counts = {
  ...{ attempts: 0, done: 0, refused: 0, escapes: 0, byTools: 0, doneByTools: 0 },
  codes: {} as Record<string, number>,
};
const found: string[] = [];
const signal = AbortSignal.timeout(3_600_000);
const content = Buffer.from("within\n");

const operations: readonly ((files: GuestFiles, path: string) => Promise<string>)[] = [
  async (files, path) => (await files.read(path, { offset: 0, length: 1000 }, signal)).bytes.toString(),
  async (files, path) => (await files.read(path, { offset: 0, length: 1000 }, signal)).bytes.toString(),
  async (files, path) => JSON.stringify(await files.stat(path, signal)),
  async (files) =>
    JSON.stringify(await files.list({ path: pick(["a", "b", ".", "link"]), depth: 3, limit: 100 }, signal)),
  (files, path) =>
    change(files, { kind: "write", path, bytes: content, expect: "any", parents: Math.random() < 0.3 }),
  (files, path) =>
    change(files, { kind: "write", path: `${path}-new`, bytes: content, expect: "absent", parents: true }),
  (files, path) => change(files, { kind: "remove", path: `${path}-new`, expect: "any" }),
  (files, path) =>
    change(files, { kind: "move", path: `${path}-new`, to: "c/new", expect: "any", parents: false }),
  (files, path) =>
    change(files, { kind: "move", path: "c/new", to: `${path}-new`, expect: "any", parents: true }),
];

const lab = await startLab();
let swappers: ChildProcess[] = [];
let before = "";
try {
  prepare();
  before = snapshot();
  const files = await openGuestFiles(
    lab.link,
    { roots: [{ path: granted, access: "rw" }], workdir: granted },
    signal,
  );
  swappers = await startSwappers();
  const tools = toolAttempts(files, granted, signal);
  await Promise.all(Array.from({ length: AT_ONCE }, () => attack(files, tools)));
  await files[Symbol.asyncDispose]();
} finally {
  for (const swapper of swappers) swapper.kill("SIGKILL");
  await Promise.all(swappers.map((swapper) => once(swapper, "close")));
  await lab[Symbol.asyncDispose]();
  if (before !== snapshot()) counts.escapes += 1;
  rmSync(base, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify({ ...counts, found: found.slice(0, 5) })}\n`);
assert.equal(counts.escapes, 0, "something outside was told of or changed");
assert.ok(
  counts.done > 0 && counts.refused > 0,
  "the race must be lost and won at times, or it shows nothing",
);

async function attack(files: GuestFiles, tools: readonly ToolAttempt[]): Promise<void> {
  while (counts.attempts < attempts) {
    counts.attempts += 1;
    // spread evenly over all of them
    const byTool = (counts.attempts * byTools) % attempts < byTools;
    if (byTool) counts.byTools += 1;
    const path = pick([
      "a/file",
      "a/sub/file",
      "b/file",
      "link/file",
      "c/sub/file",
      "a/sub/deep/file",
      "b/../a/file",
    ]);
    const search = counts.attempts % 100 === 0;
    const operation = search ? searching : pick(operations);
    try {
      judge(byTool ? await pick(tools)(path) : await operation(files, path));
      counts.done += 1;
      if (byTool) counts.doneByTools += 1;
    } catch (error) {
      if (!(error instanceof DoorwardError) || !/^(?:PATH|TEXT)_/.test(error.code)) throw error;
      judge(`${error.message} ${error.hint ?? ""}`);
      counts.refused += 1;
      counts.codes[error.code] = (counts.codes[error.code] ?? 0) + 1;
    }
  }
}

function judge(told: string): void {
  if (!told.includes(MARK)) return;
  counts.escapes += 1;
  found.push(told.slice(0, 500));
}

async function searching(files: GuestFiles): Promise<string> {
  const more = { ignored: true, limit: 100 };
  const names = await files.find({ path: ".", glob: "*", ...more }, signal);
  const search = {
    path: ".",
    pattern: ".",
    literal: false,
    caseSensitive: true,
    globs: [],
    context: 1,
    ...more,
  };
  return JSON.stringify([names, await files.search(search, signal)]);
}

async function change(files: GuestFiles, asked: FileChange): Promise<string> {
  return JSON.stringify(await files.change([asked], signal));
}

/** Both folders have the same names, or what is outside would be refused for its form alone. */
function prepare(): void {
  for (const [folder, text] of [
    [granted, "within\n"],
    [outside, `${MARK}\n`],
  ] as const) {
    for (const path of ["a/sub/deep", "b/sub", "c/sub", "sub/deep"])
      mkdirSync(join(folder, path), { recursive: true });
    for (const path of [
      "a/file",
      "a/sub/file",
      "a/sub/deep/file",
      "b/file",
      "c/file",
      "c/sub/file",
      "file",
      "sub/file",
    ])
      writeFileSync(join(folder, path), text);
  }
  writeFileSync(join(outside, `only-${MARK}`), `${MARK}\n`);
  symlinkSync("b", join(granted, "link"));
}

/** Each swaps names of its own folder only: through a swapped name it would change what is outside itself. */
async function startSwappers(): Promise<ChildProcess[]> {
  const script = fileURLToPath(new URL("file-swap-swapper.ts", import.meta.url));
  const groups: readonly (readonly [string, readonly string[]])[] = [
    [granted, ["a", outside, "b", "../outside", "link", "../outside"]],
    [join(granted, "a"), ["sub", join(outside, "sub"), "file", join(outside, "file")]],
    [join(granted, "a/sub"), ["deep", "../../../outside/sub/deep", "file", join(outside, "sub/file")]],
    [join(granted, "c"), ["sub", "../../outside/sub"]],
  ];
  return await Promise.all(
    groups.map(async ([cwd, swaps]) => {
      const swapper = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), script, ...swaps], {
        cwd,
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(swapper.stdout, "data");
      return swapper;
    }),
  );
}

/** Every name outside with what it holds. */
function snapshot(): string {
  const names = readdirSync(outside, { recursive: true, encoding: "utf8" }).sort();
  return names
    .map(
      (name) =>
        `${name} ${lstatSync(join(outside, name)).isFile() ? readFileSync(join(outside, name), "utf8") : ""}`,
    )
    .join("\n");
}

function pick<T>(from: readonly T[]): T {
  const one = from[Math.floor(Math.random() * from.length)];
  assert.ok(one !== undefined);
  return one;
}
