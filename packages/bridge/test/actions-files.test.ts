import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { FileOperation, FileScope } from "@doorward/contracts";
import type { ActionError } from "../src/actions/action-error.ts";
import { ScopedFiles } from "../src/actions/files/index.ts";

const ALL = ["mkdir", "writeFile", "appendFile", "rename", "remove"] as const;
const never = new AbortController().signal;

describe("file operations of a scope", { skip: process.platform === "linux" ? false : "needs /proc" }, () => {
  let lab: string;
  let root: string;
  let outside: string;
  let files: ScopedFiles;

  beforeEach(() => {
    lab = mkdtempSync(join(tmpdir(), "doorward-files-"));
    root = join(lab, "root");
    outside = join(lab, "outside");
    for (const folder of [root, outside, join(root, "sub")]) mkdirSync(folder);
    writeFileSync(join(outside, "secret"), "the host's\n");
    writeFileSync(join(root, "file"), "old\n");
    files = open();
  });
  afterEach(() => rmSync(lab, { recursive: true, force: true }));

  function open(scope: Partial<FileScope> = {}): ScopedFiles {
    const whole = { id: "s", roots: [root], operations: [...ALL], recursiveRemove: true, ...scope };
    return new ScopedFiles({ scopes: [whole], journalFolder: join(lab, "journal") });
  }
  async function apply(...operations: FileOperation[]): Promise<void> {
    const plan = await files.plan("s", operations);
    await files.apply(plan, never);
  }
  async function code(work: Promise<unknown>): Promise<string> {
    try {
      await work;
    } catch (error) {
      return (error as ActionError).failure.code;
    }
    return "done";
  }
  const write = (path: string, content = "new\n"): FileOperation => ({ type: "writeFile", path, content });

  it("are done in order, each on what those before it left", async () => {
    await apply(
      { type: "mkdir", path: `${root}/a/b`, recursive: true, mode: 0o700 },
      write(`${root}/a/b/x`),
      { type: "appendFile", path: `${root}/a/b/x`, content: "bW9yZQo=", encoding: "base64" },
      { type: "rename", from: `${root}/a/b`, to: `${root}/c` },
      { type: "remove", path: `${root}/a` },
      { type: "appendFile", path: `${root}/c/x`, content: "end\n" },
    );
    assert.equal(readFileSync(`${root}/c/x`, "utf8"), "new\nmore\nend\n");
    assert.equal(existsSync(`${root}/a`), false);
    assert.equal(statSync(`${root}/c`).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(join(lab, "journal")), []);
  });

  it("keep mode and owner of what they replace, and never keep setuid", async () => {
    chmodSync(`${root}/file`, 0o4640);
    await apply(write(`${root}/file`));
    assert.equal(statSync(`${root}/file`).mode & 0o7777, 0o640);
  });

  it("are shown as a unified diff, binary content as size and digest, and planning changes nothing", async () => {
    const plan = await files.plan("s", [
      write(`${root}/file`),
      { type: "writeFile", path: `${root}/bin`, content: "AAEC", encoding: "base64" },
    ]);
    assert.match(plan.changes[0]?.preview ?? "", /^-old\n\+new$/m);
    assert.match(plan.changes[1]?.preview ?? "", /^nothing becomes 3 bytes, sha256:/);
    assert.equal(readFileSync(`${root}/file`, "utf8"), "old\n");
  });

  it("are refused when a file they were planned on has changed since", async () => {
    const plan = await files.plan("s", [write(`${root}/file`)]);
    writeFileSync(`${root}/file`, "else\n");
    assert.equal(await code(files.apply(plan, never)), "SCOPE_VIOLATION");
    assert.equal(readFileSync(`${root}/file`, "utf8"), "else\n");
  });

  it("are refused when the plan they come with is another one", async () => {
    const plan = await files.plan("s", [write(`${root}/file`)]);
    const other = { ...plan, operations: [write(`${root}/file`, "other\n")] };
    assert.equal(await code(files.apply(other, never)), "SCOPE_VIOLATION");
  });

  it("follow a root that is a link where it led when the policy was loaded, and nowhere else", async () => {
    symlinkSync(root, join(lab, "link"));
    files = open({ roots: [join(lab, "link")] });
    await apply(write(`${lab}/link/via`));
    assert.equal(existsSync(`${root}/via`), true);
    renameSync(root, `${root}.kept`);
    symlinkSync(outside, root);
    assert.equal(await code(files.plan("s", [write(`${lab}/link/secret`)])), "SCOPE_VIOLATION");
    assert.equal(readFileSync(join(outside, "secret"), "utf8"), "the host's\n");
  });

  it("may be of one file alone", async () => {
    files = open({ roots: [`${root}/file`] });
    await apply(write(`${root}/file`));
    await apply(write(`${root}/file`, "again\n"));
    for (const path of [`${root}/other`, `${root}/file/x`])
      assert.equal(await code(files.plan("s", [write(path)])), "SCOPE_VIOLATION");
  });

  it("come to an end when they are cancelled", async () => {
    const plan = await files.plan("s", [write(`${root}/file`)]);
    assert.equal(await code(files.apply(plan, AbortSignal.abort())), "CANCELLED");
    assert.equal(readFileSync(`${root}/file`, "utf8"), "old\n");
  });

  it("removes a link itself, and a folder without going through links in it", async () => {
    symlinkSync(outside, `${root}/sub/out`);
    symlinkSync(outside, `${root}/out`);
    await apply(
      { type: "remove", path: `${root}/out` },
      { type: "remove", path: `${root}/sub`, recursive: true },
    );
    assert.equal(readFileSync(join(outside, "secret"), "utf8"), "the host's\n");
    assert.deepEqual(readdirSync(root), ["file"]);
  });

  const refused: readonly (readonly [string, string, () => FileOperation, (() => void)?])[] = [
    ["a path outside", "SCOPE_VIOLATION", () => write(`${outside}/x`)],
    ["a path that only starts like the root", "SCOPE_VIOLATION", () => write(`${root}2/x`)],
    ["a path with ..", "SCOPE_VIOLATION", () => write(`${root}/sub/../../outside/x`)],
    ["a path with an empty name", "SCOPE_VIOLATION", () => write(`${root}//x`)],
    ["a path with NUL", "SCOPE_VIOLATION", () => write(`${root}/x\u0000y`)],
    ["a path with a line feed", "SCOPE_VIOLATION", () => write(`${root}/x\ny`)],
    ["a relative path", "SCOPE_VIOLATION", () => write("root/x")],
    ["a path of Windows", "SCOPE_VIOLATION", () => write("C:\\root\\x")],
    ["a name of 4,096 bytes", "SCOPE_VIOLATION", () => write(`${root}/${"n".repeat(4096)}`)],
    ["a name of 256 bytes", "SCOPE_VIOLATION", () => write(`${root}/${"n".repeat(256)}`)],
    ["the root itself", "SCOPE_VIOLATION", () => ({ type: "remove", path: root, recursive: true })],
    [
      "a link",
      "SCOPE_VIOLATION",
      () => write(`${root}/l`),
      () => symlinkSync(`${outside}/secret`, `${root}/l`),
    ],
    [
      "a path through a link",
      "SCOPE_VIOLATION",
      () => write(`${root}/l/secret`),
      () => symlinkSync(outside, `${root}/l`),
    ],
    [
      "mkdir through a link",
      "SCOPE_VIOLATION",
      () => ({ type: "mkdir", path: `${root}/l/x`, recursive: true }),
      () => symlinkSync(outside, `${root}/l`),
    ],
    [
      "renaming a link",
      "SCOPE_VIOLATION",
      () => ({ type: "rename", from: `${root}/l`, to: `${root}/m` }),
      () => symlinkSync(outside, `${root}/l`),
    ],
    [
      "renaming out of the scope",
      "SCOPE_VIOLATION",
      () => ({ type: "rename", from: `${root}/file`, to: `${outside}/x` }),
    ],
    [
      "renaming into the scope",
      "SCOPE_VIOLATION",
      () => ({ type: "rename", from: `${outside}/secret`, to: `${root}/x` }),
    ],
    [
      "a hard link",
      "SCOPE_VIOLATION",
      () => ({ type: "appendFile", path: `${root}/h`, content: "x" }),
      () => linkSync(`${outside}/secret`, `${root}/h`),
    ],
    [
      "a FIFO",
      "SCOPE_VIOLATION",
      () => write(`${root}/fifo`),
      () => void execFileSync("mkfifo", [`${root}/fifo`]),
    ],
    [
      "more than the scope's largest file",
      "SCOPE_VIOLATION",
      () => write(`${root}/x`, "x".repeat(1_048_577)),
    ],
    ["a folder instead of a file", "OS_ERROR", () => write(`${root}/sub`)],
    ["a missing folder", "OS_ERROR", () => write(`${root}/none/x`)],
    ["a folder that exists", "OS_ERROR", () => ({ type: "mkdir", path: `${root}/sub` })],
    ["removing nothing", "OS_ERROR", () => ({ type: "remove", path: `${root}/none` })],
    [
      "removing a full folder alone",
      "OS_ERROR",
      () => ({ type: "remove", path: `${root}/sub` }),
      () => writeFileSync(`${root}/sub/x`, ""),
    ],
    [
      "moving a folder into itself",
      "OS_ERROR",
      () => ({ type: "rename", from: `${root}/sub`, to: `${root}/sub/in` }),
    ],
  ];
  for (const [name, expected, operation, prepare] of refused)
    it(`refuse ${name} with ${expected}`, async () => {
      prepare?.();
      assert.equal(await code(files.plan("s", [operation()])), expected);
      assert.equal(readFileSync(join(outside, "secret"), "utf8"), "the host's\n");
    });

  it("refuse an unknown scope, an operation that is not named, and recursion that is not allowed", async () => {
    assert.equal(await code(files.plan("other", [write(`${root}/x`)])), "SCOPE_DENIED");
    files = open({ operations: ["remove"], recursiveRemove: false });
    assert.equal(await code(files.plan("s", [write(`${root}/x`)])), "SCOPE_VIOLATION");
    writeFileSync(`${root}/sub/x`, "");
    assert.equal(
      await code(files.plan("s", [{ type: "remove", path: `${root}/sub`, recursive: true }])),
      "SCOPE_VIOLATION",
    );
  });

  it("leave old or new files when their bridge is killed, and a record of how far they came", async () => {
    const writer = fileURLToPath(new URL("./actions-files-writer.ts", import.meta.url));
    const args = [
      "--conditions=source",
      "--import",
      import.meta.resolve("tsx"),
      writer,
      root,
      join(lab, "journal"),
    ];
    let interrupted = 0;
    // A kill may also fall between two of its changes: then it is tried again.
    for (let round = 0; round < 6 || (interrupted === 0 && round < 60); round += 1) {
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      await once(child.stdout, "data");
      while (!existsSync(join(lab, "journal")) || readdirSync(join(lab, "journal")).length === 0)
        await sleep(1);
      await sleep(Math.random() * 30);
      child.kill("SIGKILL");
      await once(child, "exit");
      const found = files.recover();
      interrupted += found.length;
      for (const { total, applied } of found) assert.ok(total === 3 && applied <= 3);
      assert.deepEqual(files.recover(), []);
      for (const name of ["one", "two", "three"].filter((each) => existsSync(join(root, each))))
        assert.match(readFileSync(join(root, name), "utf8"), /^(?:a{1000000}|b{1000000})$/);
      assert.deepEqual(
        readdirSync(root).filter((name) => name.endsWith(".tmp")),
        [],
      );
    }
    assert.ok(interrupted > 0);
  });
});
