import assert from "node:assert/strict";
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { DenialError, PathVerdict } from "@doorward/contracts";
import { holdFolder, type PolicyFile } from "../src/policy/index.ts";
import { homesIn } from "../src/policy/path-host.ts";
import { PolicyLab, hold, refused } from "./policy-lab.ts";

async function denied(policy: PolicyFile, path: string, code: string, rule?: string): Promise<void> {
  const error = await refused(hold(policy, path), code);
  assert.ok(error instanceof DenialError, "a refusal leaves a denial record");
  if (rule !== undefined) assert.equal(error.rule, rule);
  assert.ok((error.hint ?? "").length > 0, "a refusal has a hint");
  const verdict = await policy.judgePath(path, { profile: "default", access: "rw" });
  assert.equal(PathVerdict.safeParse(verdict).success, true);
  assert.deepEqual([verdict.allowed, verdict.code, verdict.rule], [false, code, error.rule]);
}

test("a repo under an allowed root is held as what it resolves to", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const folder = lab.folder("app with space");
  symlinkSync(folder, join(lab.src, "link"));
  await using held = await hold(policy, join(lab.src, "link"));
  assert.equal(held.resolved, folder);
  assert.equal(held.rule, "policy.roots[0]");
  assert.deepEqual(readdirSync(`/proc/self/fd/${held.fd}`), []);
});

test("the home folder, its secrets and their parents are denied, also before they exist", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy("version: 1\nroots: [{path: ~/, access: rw}, {path: /tmp, access: rw}]\n");
  await denied(policy, "~", "PATH_DENIED", "policy.paths.deny[home]");
  await denied(policy, lab.home, "PATH_DENIED", "policy.paths.deny[home]");
  await denied(policy, `${lab.home}/`, "PATH_DENIED", "policy.paths.deny[home]");
  await denied(policy, "~/.ssh", "PATH_DENIED", "policy.paths.deny[ssh]");
  await denied(policy, "~/.ssh/./", "PATH_DENIED", "policy.paths.deny[ssh]");
  await denied(policy, "~/.ssh/keys/deep", "PATH_DENIED", "policy.paths.deny[ssh]");
  await denied(policy, "~/.config", "PATH_DENIED");
  await denied(policy, "~/.config/gcloud", "PATH_DENIED", "policy.paths.deny[cloud]");
  await denied(policy, lab.base, "PATH_DENIED");
  for (const name of [
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".mozilla",
    ".password-store",
    ".npmrc",
    ".pypirc",
    ".netrc",
    ".git-credentials",
    ".config/gh",
    ".config/google-chrome",
    ".config/BraveSoftware",
    "Library/Keychains",
    ".local/share/keyrings",
    ".local/share/containers",
    ".cargo/credentials.toml",
  ]) {
    await denied(policy, `~/${name}`, "PATH_DENIED");
  }
});

test("system folders, engine sockets and Doorward's own folders are denied", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy("version: 1\nroots: [{path: /, access: rw}]\n");
  await denied(policy, "/", "PATH_DENIED", "policy.paths.deny[root]");
  for (const path of [
    "/etc",
    "/etc/ssl",
    "/proc",
    "/proc/self",
    "/sys",
    "/dev",
    "/boot",
    "/run",
    "/var/run",
    "/run/podman",
    "/var/run/docker.sock",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var",
    "/usr",
    "/usr/bin",
  ]) {
    await denied(policy, path, "PATH_DENIED");
  }
  for (const path of [lab.configDir, lab.stateDir, join(lab.stateDir, "keys"), lab.runtimeDir]) {
    await denied(policy, path, "PATH_DENIED", "policy.paths.deny[doorward]");
  }
});

test("the homes of other people are treated like one's own", async () => {
  using lab = new PolicyLab();
  const alice = join(lab.base, "alice");
  lab.write(alice, { ".ssh/id": "", "code/x": "" });
  const policy = await lab.policy("version: 1\nroots: [{path: /tmp, access: rw}]\n");
  const { PolicyFile } = await import("../src/policy/index.ts");
  const shared = await PolicyFile.load(lab, { ...policy.host, otherHomes: [alice] });
  await denied(shared, alice, "PATH_DENIED", "policy.paths.deny[home]");
  await denied(shared, join(alice, ".ssh"), "PATH_DENIED", "policy.paths.deny[ssh]");
  assert.equal((await shared.judgePath(join(alice, "code"))).allowed, true);
  assert.deepEqual(
    homesIn(
      "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:/x\nada:x:1000:1000::/home/ada/:/x\nnobody:x:65534:65534::/nonexistent:/x\nodd:x:1001:1001::/:/x\n",
    ),
    ["/root", "/home/ada"],
  );
});

test("a symlink to a denied place is denied for where it leads", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  mkdirSync(join(lab.home, ".ssh"));
  for (const [name, target, rule] of [
    ["to-home", lab.home, "policy.paths.deny[home]"],
    ["to-root", "/", "policy.paths.deny[root]"],
    ["to-ssh", join(lab.home, ".ssh"), "policy.paths.deny[ssh]"],
  ] as const) {
    symlinkSync(target, join(lab.src, name));
    await denied(policy, join(lab.src, name), "PATH_DENIED", rule);
  }
});

test("where a denied place is a symlink, what it leads to is denied as well", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const keys = lab.folder("innocent/keys");
  symlinkSync(keys, join(lab.home, ".ssh"));
  await denied(policy, keys, "PATH_DENIED", "policy.paths.deny[ssh]");
  await denied(policy, join(lab.src, "innocent"), "PATH_DENIED", "policy.paths.deny[ssh]");
});

test("a symlink out of the allowed roots is refused with the command that allows its target", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const outside = join(lab.home, "out side");
  mkdirSync(outside);
  symlinkSync(outside, join(lab.src, "link"));
  const error = await refused(hold(policy, join(lab.src, "link")), "PATH_NOT_ALLOWED");
  assert.equal(error.hint, `doorward policy allow '${outside}'`);
});

test("forms that are never accepted are refused before the disk is looked at", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const cases: [string, string][] = [
    ["", "empty"],
    [`${lab.src}/../src/app`, "parent"],
    ["~/src/..", "parent"],
    ["src/app", "relative"],
    ["./app", "relative"],
    ["~root/src", "user"],
    [`${lab.src}/a\nb`, "control"],
    [`${lab.src}/a\u0000b`, "control"],
    [`${lab.src}/a\u001b[31m`, "control"],
    [`${lab.src}/a\u0085b`, "control"],
    [`${lab.src}/a\u202eb`, "control"],
    [`${lab.src}/a\ud800b`, "utf8"],
    [`${lab.src}/a\ufffdb`, "utf8"],
    [`/${"a/".repeat(2100)}`, "length"],
    [`${lab.src}/${"a".repeat(256)}`, "length"],
  ];
  for (const [path, form] of cases) await denied(policy, path, "PATH_INVALID", `policy.paths.form[${form}]`);
});

test("a symlink to a folder whose name is not UTF-8 or has a newline is refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  mkdirSync(join(lab.src, "a\nb"));
  symlinkSync(join(lab.src, "a\nb"), join(lab.src, "newline"));
  await denied(policy, join(lab.src, "newline"), "PATH_INVALID", "policy.paths.form[control]");
  const bytes = Buffer.concat([Buffer.from(`${lab.src}/`), Buffer.from([0xff, 0x41])]);
  mkdirSync(bytes);
  symlinkSync(bytes, join(lab.src, "bytes"));
  await denied(policy, join(lab.src, "bytes"), "PATH_INVALID", "policy.paths.form[utf8]");
});

test("what is absent, a file, a dangling or circular link is refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  lab.write(lab.src, { file: "" });
  symlinkSync("nowhere", join(lab.src, "dangling"));
  symlinkSync("circle", join(lab.src, "circle"));
  await denied(policy, join(lab.src, "absent"), "PATH_NOT_FOUND");
  await denied(policy, join(lab.src, "dangling"), "PATH_NOT_FOUND");
  await denied(policy, join(lab.src, "circle"), "PATH_NOT_FOUND");
  await denied(policy, join(lab.src, "file"), "PATH_NOT_DIRECTORY");
});

test("a read-only root gives no write access, and a root for other profiles none at all", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy(
    "version: 1\nroots: [{path: ~/src, access: ro}, {path: ~/other, access: rw, profiles: [tools]}]\nprofiles: {tools: {}}\n",
  );
  mkdirSync(join(lab.home, "other"));
  await denied(policy, lab.folder("a"), "PATH_NOT_ALLOWED", "policy.roots[0].access");
  await denied(policy, join(lab.home, "other"), "PATH_NOT_ALLOWED", "policy.roots[1].profiles");
  assert.equal((await policy.judgePath(lab.folder("a"))).access, "ro");
  assert.equal((await policy.judgePath(join(lab.home, "other"), { profile: "tools" })).access, "rw");
});

test("the policy's own deny list wins over its roots and names its entry", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy(
    "version: 1\nroots: [{path: ~/src, access: rw}]\ndeny: [~/src/x, ~/src/secret]\n",
  );
  await denied(policy, lab.folder("secret/deep"), "PATH_DENIED", "policy.deny[1]");
  await denied(policy, lab.src, "PATH_DENIED", "policy.deny[0]");
});

test("a name that only begins like an allowed root or a denied place is judged by itself", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy(
    "version: 1\nroots: [{path: ~/src, access: rw}, {path: ~/.sshx, access: rw}]\n",
  );
  mkdirSync(join(lab.home, "src2"));
  mkdirSync(join(lab.home, ".sshx"));
  await denied(policy, join(lab.home, "src2"), "PATH_NOT_ALLOWED");
  assert.equal((await policy.judgePath("~/.sshx")).allowed, true);
});

test("where case is folded, another spelling of a denied place is denied", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy("version: 1\nroots: [{path: ~/, access: rw}]\n");
  const { PolicyFile } = await import("../src/policy/index.ts");
  const folding = await PolicyFile.load(lab, { ...policy.host, caseInsensitive: true });
  assert.equal((await folding.judgePath("~/.SSH")).rule, "policy.paths.deny[ssh]");
});

test("a path that is swapped for a symlink after it was judged is not held", async () => {
  using lab = new PolicyLab();
  const folder = lab.folder("a/b");
  const about = { path: folder, access: "rw", rule: "test" } as const;
  renameSync(join(lab.src, "a"), join(lab.src, "moved"));
  lab.write(lab.home, { "secret/b/key": "" });
  symlinkSync(join(lab.home, "secret"), join(lab.src, "a"));
  await refused(holdFolder(folder, about), "PATH_CHANGED");
  rmSync(join(lab.src, "a"));
  symlinkSync(join(lab.home, "secret", "b"), join(lab.src, "c"));
  await refused(holdFolder(join(lab.src, "c"), { ...about, path: "c" }), "PATH_CHANGED");
});

test("a socket is no folder, and a held folder is closed twice without harm", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const server = createServer().listen(join(lab.src, "sock"));
  await new Promise((resolve) => server.once("listening", resolve));
  await denied(policy, join(lab.src, "sock"), "PATH_NOT_DIRECTORY");
  server.close();
  const held = await hold(policy, lab.folder("a"));
  await held[Symbol.asyncDispose]();
  await held[Symbol.asyncDispose]();
  writeFileSync(join(lab.src, "a", "x"), "");
});
