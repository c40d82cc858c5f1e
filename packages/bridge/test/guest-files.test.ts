import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { runCommand } from "@doorward/guest";
import { FilesLab, code, put, sha, whole } from "./guest-files-lab.ts";
import { soon, startLab, type Lab } from "./guest-harness.ts";

let lab: Lab;
before(async () => {
  lab = await startLab();
});
after(async () => {
  await lab[Symbol.asyncDispose]();
});

describe("reading", () => {
  test("a small file, a large one, an empty one and parts come as they are", async () => {
    await using it = new FilesLab(lab.link);
    const large = randomBytes(3_000_001);
    it.put("small", "hello\n");
    it.put("large", large);
    it.put("empty");
    const files = await it.open();
    const small = await files.read("small", whole, soon());
    assert.deepEqual([small.bytes.toString(), small.size, small.digest], ["hello\n", 6, sha("hello\n")]);
    const big = await files.read(it.at("large"), whole, soon());
    assert.ok(big.bytes.equals(large));
    assert.equal(big.digest, sha(large));
    const empty = await files.read("empty", whole, soon());
    assert.deepEqual([empty.bytes.length, empty.size, empty.digest], [0, 0, sha("")]);
    const part = await files.read("large", { offset: 1_000_000, length: 500_000 }, soon());
    assert.ok(part.bytes.equals(large.subarray(1_000_000, 1_500_000)));
    assert.deepEqual([part.size, part.digest], [3_000_001, null]);
    const beyond = await files.read("large", { offset: 9_000_000, length: 10 }, soon());
    assert.deepEqual([beyond.bytes.length, beyond.size, beyond.digest], [0, 3_000_001, null]);
    const exact = await files.read("small", { offset: 0, length: 6 }, soon());
    assert.equal(exact.digest, sha("hello\n"));
    const less = await files.read("small", { offset: 0, length: 5 }, soon());
    assert.deepEqual([less.bytes.toString(), less.digest], ["hello", null]);
  });

  test("sizes around every limit of the protocol come whole", async () => {
    await using it = new FilesLab(lab.link);
    const files = await it.open();
    for (const size of [1, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 1_048_576, 1_048_577]) {
      const bytes = randomBytes(size);
      it.put("file", bytes);
      const got = await files.read("file", whole, soon());
      assert.ok(got.bytes.equals(bytes), String(size));
      await files.change(
        [{ ...put("copy", ""), kind: "write", bytes, expect: "any", parents: false }],
        soon(),
      );
      assert.equal((await files.read("copy", whole, soon())).digest, sha(bytes), String(size));
    }
  });

  test("two hundred reads at once, large and small, each get their own bytes", async () => {
    await using it = new FilesLab(lab.link);
    const contents = Array.from({ length: 200 }, (_, at) => randomBytes(at % 5 === 0 ? 900_000 : at * 10));
    for (const [at, content] of contents.entries()) it.put(`f${String(at)}`, content);
    const files = await it.open();
    const got = await Promise.all(contents.map((_, at) => files.read(`f${String(at)}`, whole, soon())));
    for (const [at, { bytes }] of got.entries()) assert.ok(bytes.equals(contents[at] ?? Buffer.alloc(0)));
  });

  test("files of /proc that say they are empty are read, as far as a limit", async () => {
    await using it = new FilesLab(lab.link);
    const files = await it.open([{ path: "/", access: "rw" }]);
    const { bytes, size, digest } = await files.read("/proc/version", whole, soon());
    assert.match(bytes.toString(), /^Linux version/);
    assert.deepEqual([size, digest], [bytes.length, sha(bytes)]);
    const less = await files.read("/proc/version", { offset: 0, length: 5 }, soon());
    assert.deepEqual([less.bytes.toString(), less.digest], ["Linux", null]);
  });

  test("a read that is given up ends at once, and the stream goes on", async () => {
    await using it = new FilesLab(lab.link);
    it.put("large", randomBytes(60_000_000));
    it.put("small", "x");
    const files = await it.open();
    for (let round = 0; round < 5; round += 1) {
      const stop = new AbortController();
      const reads = Array.from({ length: 5 }, () => files.read("large", whole, stop.signal));
      setTimeout(() => stop.abort(), round * 5);
      for (const { status } of await Promise.allSettled(reads)) assert.equal(status, "rejected");
    }
    assert.equal((await files.read("small", whole, soon())).size, 1);
    assert.equal(files.open, true);
  });

  test("a signal that is over asks for nothing", async () => {
    await using it = new FilesLab(lab.link);
    const files = await it.open();
    await assert.rejects(files.stat(".", AbortSignal.abort()), code("ABORTED"));
  });

  test("after its end a stream answers no more", async () => {
    await using it = new FilesLab(lab.link);
    const files = await it.open();
    await files[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
    assert.equal(files.open, false);
    await assert.rejects(files.stat(".", soon()), code("GUEST_UNREACHABLE"));
  });
});

describe("looking", () => {
  test("a path says what it is, with its symlinks resolved", async () => {
    await using it = new FilesLab(lab.link);
    chmodSync(it.put("src/run.sh", "#!/bin/sh\n"), 0o755);
    symlinkSync("src", it.at("link"));
    const files = await it.open();
    const stat = await files.stat("link/run.sh", soon());
    assert.deepEqual(
      [stat.path, stat.kind, stat.size, stat.executable],
      [it.at("src/run.sh"), "file", 10, true],
    );
    assert.equal((await files.stat("link", soon())).kind, "folder");
    assert.equal((await files.stat(".", soon())).path, it.repo);
  });

  test("a list is sorted, as deep as was asked, and says when it was cut", async () => {
    await using it = new FilesLab(lab.link);
    for (const path of ["b/c/d", "b/a", "a", "b.txt", ".hidden"]) it.put(path);
    symlinkSync("/etc", it.at("etc"));
    const files = await it.open();
    const list = async (depth: number, limit = 100): Promise<[string[], boolean]> => {
      const { items, truncated } = await files.list({ path: ".", depth, limit }, soon());
      return [items.map(({ path, kind }) => `${path.slice(it.repo.length + 1)} ${kind}`), truncated];
    };
    const top = [".hidden file", "a file", "b folder", "b.txt file", "etc symlink"];
    assert.deepEqual(await list(1), [top, false]);
    const two = [".hidden file", "a file", "b folder", "b/a file", "b/c folder", "b.txt file", "etc symlink"];
    assert.deepEqual(await list(2), [two, false]);
    assert.equal((await list(9))[0].length, 8);
    assert.deepEqual(await list(9, 5), [top, true]);
    await assert.rejects(files.list({ path: "a", depth: 1, limit: 9 }, soon()), code("PATH_NOT_DIRECTORY"));
    await assert.rejects(files.list({ path: "etc", depth: 1, limit: 9 }, soon()), code("PATH_NOT_ALLOWED"));
    await assert.rejects(files.list({ path: "no", depth: 1, limit: 9 }, soon()), code("PATH_NOT_FOUND"));
  });

  test("a folder of ten thousand names is listed, and its answer fits", async () => {
    await using it = new FilesLab(lab.link);
    mkdirSync(it.at("many"));
    const script = 'cd "$1" && seq -f a-name-that-is-not-short-%.0f 12000 | xargs touch';
    await runCommand(lab.link, { argv: ["bash", "-c", script, "-", it.at("many")] }, soon());
    const files = await it.open();
    const { items, truncated } = await files.list({ path: "many", depth: 1, limit: 10_000 }, soon());
    assert.deepEqual([items.length, truncated], [10_000, true]);
  });
});
