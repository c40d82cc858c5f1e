import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import {
  openGuestFiles,
  type FileChange,
  type GuestFiles,
  type ReachedRoot,
  type SearchRequest,
} from "@doorward/guest";
import { soon, startLab, type Lab } from "./guest-harness.ts";

let lab: Lab;
let base: string;
let repo: string;
let outside: string;
let files: GuestFiles;
before(async () => {
  lab = await startLab();
});
after(async () => {
  await lab[Symbol.asyncDispose]();
});
beforeEach(async () => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "dw-files-")));
  repo = join(base, "repo");
  outside = join(base, "outside");
  for (const folder of [repo, outside]) mkdirSync(folder);
  writeFileSync(join(outside, "secret"), "SECRET\n");
  files = await opened([{ path: repo, access: "rw" }]);
});

async function opened(roots: readonly ReachedRoot[], workdir = repo): Promise<GuestFiles> {
  return await openGuestFiles(lab.link, { roots, workdir }, soon());
}

async function closing(): Promise<void> {
  await files[Symbol.asyncDispose]();
  rmSync(base, { recursive: true, force: true });
}

const code =
  (expected: string, words = /./) =>
  (error: unknown): boolean =>
    error instanceof DoorwardError && error.code === expected && words.test(error.message);

const sha = (bytes: Buffer | string): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const whole = { offset: 0, length: 100_000_000 };
const read = async (path: string): Promise<string> =>
  (await files.read(path, whole, soon())).bytes.toString("utf8");
const put = (
  path: string,
  content: string,
  over: Partial<Extract<FileChange, { kind: "write" }>> = {},
): FileChange => ({
  kind: "write",
  path,
  bytes: Buffer.from(content),
  expect: "any",
  parents: false,
  ...over,
});
const write = async (...changes: FileChange[]): Promise<unknown> => await files.change(changes, soon());
const at = (...names: string[]): string => join(repo, ...names);
/** What a failed change may never leave. */
const leftovers = (): string[] =>
  readdirSync(base, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".tmp"));

describe("reading", () => {
  test("a small file, a large one, an empty one and parts come as they are", async () => {
    const large = randomBytes(3_000_001);
    writeFileSync(at("small"), "hello\n");
    writeFileSync(at("large"), large);
    writeFileSync(at("empty"), "");
    const small = await files.read("small", whole, soon());
    assert.deepEqual(
      { ...small, bytes: small.bytes.toString() },
      { bytes: "hello\n", size: 6, digest: sha("hello\n") },
    );
    const big = await files.read(at("large"), whole, soon());
    assert.ok(big.bytes.equals(large));
    assert.equal(big.digest, sha(large));
    const empty = await files.read("empty", whole, soon());
    assert.deepEqual([empty.bytes.length, empty.size, empty.digest], [0, 0, sha("")]);
    const part = await files.read("large", { offset: 1_000_000, length: 500_000 }, soon());
    assert.ok(part.bytes.equals(large.subarray(1_000_000, 1_500_000)));
    assert.deepEqual([part.size, part.digest], [3_000_001, null]);
    const beyond = await files.read("large", { offset: 9_000_000, length: 10 }, soon());
    assert.deepEqual([beyond.bytes.length, beyond.size, beyond.digest], [0, 3_000_001, null]);
    await closing();
  });

  test("a hundred reads at once, large and small, each gets its own bytes", async () => {
    const contents = Array.from({ length: 100 }, (_, index) =>
      randomBytes(index % 5 === 0 ? 900_000 : index * 10),
    );
    for (const [index, content] of contents.entries()) writeFileSync(at(`f${String(index)}`), content);
    const got = await Promise.all(contents.map((_, index) => files.read(`f${String(index)}`, whole, soon())));
    for (const [index, { bytes }] of got.entries())
      assert.ok(bytes.equals(contents[index] ?? Buffer.alloc(0)));
    await closing();
  });

  test("a path says what it is, with its symlinks resolved", async () => {
    mkdirSync(at("src"));
    writeFileSync(at("src", "run.sh"), "#!/bin/sh\n");
    chmodSync(at("src", "run.sh"), 0o755);
    symlinkSync("src", at("link"));
    const stat = await files.stat("link/run.sh", soon());
    assert.deepEqual(
      [stat.path, stat.kind, stat.size, stat.executable],
      [at("src", "run.sh"), "file", 10, true],
    );
    assert.equal((await files.stat("link", soon())).kind, "folder");
    assert.equal((await files.stat(".", soon())).path, repo);
    await closing();
  });
});
