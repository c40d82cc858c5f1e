import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer } from "node:net";
import { once } from "node:events";
import { mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { GuestFiles } from "@doorward/guest";
import { FilesLab, code, put, whole } from "./guest-files-lab.ts";
import { soon, startLab, type Lab } from "./guest-harness.ts";

let lab: Lab;
before(async () => {
  lab = await startLab();
});
after(async () => {
  await lab[Symbol.asyncDispose]();
});

/** Every operation on a path, each of which has to end with this code. */
async function refusedEverywhere(files: GuestFiles, path: string, expected: string): Promise<void> {
  const calls: Record<string, () => Promise<unknown>> = {
    stat: () => files.stat(path, soon()),
    read: () => files.read(path, whole, soon()),
    list: () => files.list({ path, depth: 2, limit: 10 }, soon()),
    find: () => files.find({ path, glob: "*", ignored: true, limit: 10 }, soon()),
    search: () =>
      files.search(
        {
          ...{ path, pattern: ".", literal: false, caseSensitive: true, globs: [] },
          ...{ ignored: true, context: 0, limit: 10 },
        },
        soon(),
      ),
    write: () => files.change([put(path, "EVIL", { parents: true })], soon()),
    remove: () => files.change([{ kind: "remove", path, expect: "any" }], soon()),
    move: () => files.change([{ kind: "move", path, to: "moved", expect: "any", parents: true }], soon()),
    moveTo: () =>
      files.change([{ kind: "move", path: "mine", to: path, expect: "any", parents: true }], soon()),
  };
  for (const [name, call] of Object.entries(calls)) {
    await assert.rejects(call(), (error) => {
      assert.equal((error as { code: string }).code, expected, `${name} of ${path.slice(0, 100)}`);
      return true;
    });
  }
}

test("no form of a path reaches what lies outside", async () => {
  await using it = new FilesLab(lab.link);
  it.put("mine");
  mkdirSync(it.at("in"));
  symlinkSync("../outside", it.at("relative"));
  symlinkSync(it.outside, it.at("absolute"));
  symlinkSync("/", it.at("top"));
  symlinkSync("relative", it.at("twice"));
  symlinkSync("/proc/self/root", it.at("magic"));
  symlinkSync("/proc/self/cwd", it.at("cwd"));
  const files = await it.open();
  const secrets = [
    "../outside/secret",
    "in/../../outside/secret",
    "relative/secret",
    "absolute/secret",
    "twice/secret",
    `top${it.outside}/secret`,
    `magic${it.outside}/secret`,
    "cwd/secret",
    "/etc/passwd",
    "/",
    "/proc/self/environ",
    "/dev/tty",
    `${it.repo}/../outside/secret`,
    `${it.repo}x/secret`,
    `//${it.outside}//secret`,
    "../".repeat(200) + "etc/passwd",
  ];
  for (const path of secrets) await refusedEverywhere(files, path, "PATH_NOT_ALLOWED");
});

test("malformed paths are refused in every operation", async () => {
  await using it = new FilesLab(lab.link);
  it.put("mine");
  const files = await it.open();
  for (const path of ["", "a\0b", "\0", "x/".repeat(3000), "y".repeat(5000)])
    await refusedEverywhere(files, path, "PATH_INVALID");
  await assert.rejects(files.stat("n".repeat(256), soon()), code("PATH_INVALID"));
  await assert.rejects(files.stat("../".repeat(1000), soon()), code("PATH_INVALID"));
  await assert.rejects(files.stat(`${"a/../".repeat(800)}mine`, soon()), code("PATH_NOT_FOUND"));
});

test("loops and long chains of symlinks end", async () => {
  await using it = new FilesLab(lab.link);
  it.put("end", "x");
  symlinkSync("loop", it.at("loop"));
  symlinkSync("b", it.at("a"));
  symlinkSync("a", it.at("b"));
  symlinkSync("end", it.at("l0"));
  for (let at = 1; at <= 45; at += 1) symlinkSync(`l${String(at - 1)}`, it.at(`l${String(at)}`));
  symlinkSync("grow/grow", it.at("grow"));
  const files = await it.open();
  for (const path of ["loop", "a", "b/x", "l45", "grow"])
    await assert.rejects(files.read(path, whole, soon()), code("PATH_INVALID", /symlink/));
  assert.equal((await files.read("l39", whole, soon())).size, 1);
});

test("very deep folders are reached, by descriptors beyond what a path can name", async () => {
  await using it = new FilesLab(lab.link);
  const name = "d".repeat(100);
  execFileSync("bash", ["-c", `for i in $(seq 38); do mkdir ${name} && cd ${name}; done; echo deep > f`], {
    cwd: it.repo,
  });
  const files = await it.open();
  const path = `${Array.from({ length: 38 }, () => name).join("/")}/f`;
  assert.equal((await files.read(path, whole, soon())).bytes.toString(), "deep\n");
});

test("symlinks within reach are followed, absolute ones too, and `..` behind one is that of its target", async () => {
  await using it = new FilesLab(lab.link);
  it.put("a/b/file", "here");
  it.put("a/side", "side");
  symlinkSync(it.at("a/b"), it.at("absolute"));
  symlinkSync("../b/./file", it.at("a/up"));
  symlinkSync("b/../b/file", it.at("a/around"));
  const files = await it.open();
  const text = async (path: string): Promise<string> =>
    (await files.read(path, whole, soon())).bytes.toString();
  assert.equal(await text("absolute/file"), "here");
  assert.equal(await text("absolute/../side"), "side");
  assert.equal(await text("a/around"), "here");
  assert.equal((await files.stat("absolute/file", soon())).path, it.at("a/b/file"));
  await assert.rejects(text("a/up"), code("PATH_NOT_FOUND"));
  await assert.rejects(text("a/side/.."), code("PATH_NOT_DIRECTORY"));
});

test("pipes, sockets and devices are told of, and never opened", async () => {
  await using it = new FilesLab(lab.link);
  execFileSync("mkfifo", [it.at("fifo")]);
  const server = createServer().listen(it.at("socket"));
  await once(server, "listening");
  const files = await it.open([{ path: "/", access: "rw" }]);
  for (const path of ["fifo", "socket", "/dev/tty", "/dev/zero", "/dev/null", "/dev/stdin"]) {
    await assert.rejects(files.read(path, whole, soon()), code("PATH_INVALID"), path);
    await assert.rejects(files.change([put(path, "x")], soon()), code("PATH_INVALID"), path);
  }
  assert.equal((await files.stat("fifo", soon())).kind, "other");
  await files.change([{ kind: "remove", path: "fifo", expect: "any" }], soon());
  server.close();
});

test("with everything in reach, magic links and endless files end all the same", async () => {
  await using it = new FilesLab(lab.link);
  const files = await it.open([{ path: "/", access: "ro" }]);
  for (const path of [
    "/proc/self/fd/0",
    "/proc/self/exe",
    "/proc/self/root/proc/self/cwd",
    "/proc/self/mem",
  ]) {
    await files.read(path, { offset: 0, length: 100 }, soon()).catch((error: unknown) => {
      assert.match((error as { code: string }).code, /^PATH_/, path);
    });
  }
  assert.match((await files.stat("/proc/self", soon())).path, /^\/proc\/\d+$/);
});

test("the deepest folder decides, and what is read-only there stays", async () => {
  await using it = new FilesLab(lab.link);
  it.put("docs/read/me", "x");
  symlinkSync("docs/read/me", it.at("link"));
  const files = await it.open([
    { path: it.repo, access: "rw" },
    { path: it.at("docs"), access: "ro" },
  ]);
  const readOnly = code("PATH_NOT_ALLOWED", /may only be read/);
  for (const path of ["docs/read/me", "link", "docs/new"])
    await assert.rejects(files.change([put(path, "y")], soon()), readOnly);
  await assert.rejects(
    files.change([{ kind: "remove", path: "docs/read/me", expect: "any" }], soon()),
    readOnly,
  );
  await assert.rejects(
    files.change([{ kind: "move", path: "docs/read/me", to: "me", expect: "any", parents: false }], soon()),
    readOnly,
  );
  for (const path of ["docs", "."])
    await assert.rejects(
      files.change([{ kind: "remove", path, expect: "any" }], soon()),
      code("PATH_NOT_ALLOWED"),
    );
  await assert.rejects(
    files.change(
      [{ kind: "move", path: it.repo, to: join(it.base, "x"), expect: "any", parents: false }],
      soon(),
    ),
    code("PATH_NOT_ALLOWED"),
  );
  await files.change([put("free", "y")], soon());
});

test("a root that was swapped for a link is no other folder, and one that was made anew is found again", async () => {
  await using it = new FilesLab(lab.link);
  it.put("sub/file", "mine");
  const files = await it.open([{ path: it.at("sub"), access: "rw" }]);
  const late = await it.open([{ path: it.at("sub"), access: "rw" }]);
  await files.stat("sub/file", soon());
  renameSync(it.at("sub"), it.at("kept"));
  symlinkSync(it.outside, it.at("sub"));
  assert.equal((await files.read("sub/file", whole, soon())).bytes.toString(), "mine");
  await assert.rejects(files.read("sub/secret", whole, soon()), code("PATH_NOT_FOUND"));
  await assert.rejects(late.read("sub/secret", whole, soon()), code("PATH_NOT_FOUND"));
  rmSync(it.at("sub"));
  rmSync(it.at("kept"), { recursive: true });
  it.put("sub/file", "anew");
  assert.equal((await files.read("sub/file", whole, soon())).bytes.toString(), "anew");
});
