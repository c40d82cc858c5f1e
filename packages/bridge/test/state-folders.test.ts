import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { DoorwardError, type ErrorCode } from "@doorward/contracts";
import {
  checkRuntime,
  createFolders,
  installationId,
  resolveFolders,
  SOCKET_PATH_BYTES,
  type FolderHost,
} from "../src/state/index.ts";

const uid = process.getuid?.() ?? -1;
const ADA: FolderHost = { home: "/home/ada", uid: 1000, temp: "/tmp" };
const asRoot = uid === 0 ? {} : { skip: "giving files to another user needs root" };

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "dw-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function withCode(code: ErrorCode, text = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DoorwardError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

test("the folders are where the XDG rules put them", () => {
  assert.deepEqual(resolveFolders({ XDG_RUNTIME_DIR: "/run/user/1000" }, ADA), {
    config: "/home/ada/.config/doorward",
    state: "/home/ada/.local/state/doorward",
    runtime: "/run/user/1000/doorward",
  });
  const env = { XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "/s", XDG_RUNTIME_DIR: "/r" };
  assert.deepEqual(resolveFolders(env, ADA), {
    config: "/c/doorward",
    state: "/s/doorward",
    runtime: "/r/doorward",
  });
});

test("a relative or empty XDG variable counts as unset", () => {
  const env = { XDG_CONFIG_HOME: "c", XDG_STATE_HOME: "", XDG_RUNTIME_DIR: "./run" };
  const folders = resolveFolders(env, ADA);
  assert.equal(folders.config, "/home/ada/.config/doorward");
  assert.match(folders.runtime, /^\/tmp\/doorward-1000-[a-f0-9]{12}$/);
});

test("DOORWARD_HOME puts all three under one folder, and must be absolute", () => {
  const folders = resolveFolders({ DOORWARD_HOME: "/x/home", XDG_STATE_HOME: "/s" }, ADA);
  assert.deepEqual(folders, { config: "/x/home/config", state: "/x/home/state", runtime: "/x/home/run" });
  assert.throws(() => resolveFolders({ DOORWARD_HOME: "home" }, ADA), withCode("INPUT_INVALID"));
});

test("a runtime folder whose sockets would not fit gives way to a private one, the same for everyone who asks", () => {
  const long = `/home/ada/${"d".repeat(80)}`;
  const folders = resolveFolders({ DOORWARD_HOME: long, TMPDIR: "/var/tmp/a" }, ADA);
  assert.match(folders.runtime, /^\/tmp\/doorward-1000-[a-f0-9]{12}$/);
  assert.equal(resolveFolders({ DOORWARD_HOME: `${long}/`, TMPDIR: "/else" }, ADA).runtime, folders.runtime);
  assert.notEqual(resolveFolders({ DOORWARD_HOME: `${long}2` }, ADA).runtime, folders.runtime);
  assert.notEqual(resolveFolders({ DOORWARD_HOME: long }, { ...ADA, uid: 1001 }).runtime, folders.runtime);
  for (const { runtime } of [folders, resolveFolders({ XDG_RUNTIME_DIR: "/run/user/4294967294" }, ADA)]) {
    const longest = join(runtime, "machines", `m_${"a".repeat(32)}`, "guest.sock");
    assert.ok(Buffer.byteLength(longest) <= SOCKET_PATH_BYTES, longest);
  }
});

test("a state folder reached through a symlink has the same private runtime folder", (t) => {
  const dir = folder(t);
  const real = join(dir, "r".repeat(60));
  mkdirSync(real);
  symlinkSync(real, join(dir, "l".repeat(60)));
  const [a, b] = ["r", "l"].map((name) => resolveFolders({ DOORWARD_HOME: join(dir, name.repeat(60), "h") }));
  assert.equal(a?.runtime, b?.runtime);
});

test("the folders are created for their owner alone, and found again", (t) => {
  const mask = process.umask(0);
  t.after(() => process.umask(mask));
  const folders = resolveFolders({ DOORWARD_HOME: join(folder(t), "home") });
  createFolders(folders);
  createFolders(folders);
  for (const path of Object.values(folders))
    assert.equal(statSync(String(path)).mode & 0o777, 0o700, String(path));
});

test("a state folder of ours that is open to others is closed", (t) => {
  const folders = resolveFolders({ DOORWARD_HOME: folder(t) });
  mkdirSync(folders.state, { recursive: true });
  chmodSync(folders.state, 0o755);
  createFolders(folders);
  assert.equal(statSync(folders.state).mode & 0o777, 0o700);
});

test("folders of another user are refused with STATE_UNSAFE", asRoot, (t) => {
  for (const which of ["config", "state", "runtime"] as const) {
    const folders = resolveFolders({ DOORWARD_HOME: folder(t) });
    mkdirSync(folders[which], { recursive: true, mode: 0o700 });
    chownSync(folders[which], 12_345, 12_345);
    assert.throws(() => createFolders(folders), withCode("STATE_UNSAFE", /belongs to user 12345/), which);
  }
});

test("a config folder that others can write to is refused", (t) => {
  const folders = resolveFolders({ DOORWARD_HOME: folder(t) });
  mkdirSync(folders.config);
  chmodSync(folders.config, 0o777);
  assert.throws(() => createFolders(folders), withCode("STATE_UNSAFE"));
});

test("a file where a folder should be is refused", (t) => {
  const folders = resolveFolders({ DOORWARD_HOME: folder(t) });
  writeFileSync(folders.state, "");
  assert.throws(() => createFolders(folders), withCode("STATE_UNSAFE"));
});

/** Folders whose runtime one is the private one, under a temp folder of the test's own. */
function privately(t: TestContext, temp = folder(t)) {
  chmodSync(temp, 0o1777);
  const host: FolderHost = { home: "/nowhere", uid, temp };
  const folders = resolveFolders({ DOORWARD_HOME: join(folder(t), "d".repeat(80)) }, host);
  assert.equal(join(folders.runtime, ".."), temp);
  return { folders, host, temp };
}

test("the private runtime folder is made with mode 0700 and accepted again", (t) => {
  const { folders, host } = privately(t);
  checkRuntime(folders, host);
  createFolders(folders, host);
  createFolders(folders, host);
  checkRuntime(folders, host);
  assert.equal(lstatSync(folders.runtime).mode & 0o777, 0o700);
});

test("a symlink, a file or an open folder planted as the private runtime folder is refused", (t) => {
  const plants: [RegExp, (path: string) => void][] = [
    [/symlink/, (path) => symlinkSync(folder(t), path)],
    [/symlink/, (path) => symlinkSync("/nowhere", path)],
    [/not a folder/, (path) => writeFileSync(path, "")],
    [/open to other users/, (path) => mkdirSync(path, { mode: 0o750 })],
  ];
  for (const [why, plant] of plants) {
    const { folders, host } = privately(t);
    plant(folders.runtime);
    assert.throws(() => createFolders(folders, host), withCode("STATE_UNSAFE", why));
    assert.throws(() => checkRuntime(folders, host), withCode("STATE_UNSAFE", why));
  }
});

test("a private runtime folder that another user made first is refused", asRoot, (t) => {
  const { folders, host } = privately(t);
  mkdirSync(folders.runtime, { mode: 0o700 });
  chownSync(folders.runtime, 12_345, 12_345);
  assert.throws(() => createFolders(folders, host), withCode("STATE_UNSAFE", /12345/));
  assert.throws(() => checkRuntime(folders, host), withCode("STATE_UNSAFE", /12345/));
});

test("a temp folder in which others can rename things is refused", (t) => {
  const { folders, host, temp } = privately(t);
  chmodSync(temp, 0o777);
  assert.throws(() => createFolders(folders, host), withCode("STATE_UNSAFE", /rename/));
});

test("the installation id is made once and a damaged one is refused", (t) => {
  const dir = folder(t);
  const id = installationId(dir);
  assert.match(id, /^i_[a-f0-9]{24}$/);
  assert.equal(installationId(dir), id);
  assert.equal(statSync(join(dir, "installation-id")).mode & 0o777, 0o600);
  assert.notEqual(installationId(folder(t)), id);
  for (const text of ["", "i_", `${id}\n${id}`, `${id}0`]) {
    writeFileSync(join(dir, "installation-id"), text);
    assert.throws(() => installationId(dir), withCode("STATE_INVALID"));
  }
});
