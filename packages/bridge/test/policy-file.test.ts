import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SecureHostInterfaceProfile } from "@doorward/contracts";
import { parsePolicy, policyHash, PolicyFile, type PolicyEvent } from "../src/policy/index.ts";
import { PolicyLab, refused } from "./policy-lab.ts";

const examples = new URL("../../contracts/examples/policy/", import.meta.url);

test("the complete example is accepted, and its profiles are complete", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy(readFileSync(new URL("policy.yaml", examples), "utf8"));
  assert.deepEqual(policy.profileNames(), ["default", "tools"]);
  assert.equal(policy.profile("tools").image.buildTools, true);
  assert.equal(policy.profile("tools").limits.memoryMiB, 4096);
  const document = policy.interfaceProfile("tools", "terminal");
  assert.equal(SecureHostInterfaceProfile.safeParse(document).success, true);
});

for (const name of readdirSync(new URL("invalid/", examples))) {
  test(`the invalid example ${name} is refused with line and column`, () => {
    const text = readFileSync(new URL(`invalid/${name}`, examples), "utf8");
    assert.throws(
      () => parsePolicy(text, name),
      (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, "POLICY_INVALID");
        assert.match(error.message, /^Cannot read policy "[^"]+": \d+:\d+: /);
        assert.match(error.hint ?? "", /\+\d+/);
        return true;
      },
    );
  });
}

for (const [what, text] of [
  ["nothing", ""],
  ["a text larger than a policy may be", `version: 1\nroots: []\n#${"x".repeat(262_144)}`],
  ["deep nesting", "[".repeat(100_000)],
  ["an alias bomb", `a: &a [x]\nb: &b [${"*a,".repeat(50)}]\nversion: 1\nroots: []\n`],
  ["a merge key", "version: 1\nroots: []\nbase: {a: 1}\n<<: {b: 2}\n"],
  ["a prototype", "version: 1\nroots: []\n__proto__: {}\n"],
  ["a number as version text", "version: '1'\nroots: []\n"],
] as const) {
  test(`${what} is refused as policy`, () => {
    assert.throws(() => parsePolicy(text, "policy.yaml"), { code: "POLICY_INVALID" });
  });
}

test("without a file nothing is allowed", async () => {
  using lab = new PolicyLab();
  const policy = await PolicyFile.load(lab);
  assert.equal(policy.exists, false);
  assert.equal((await policy.judgePath(lab.folder("a"))).code, "PATH_NOT_ALLOWED");
});

test("the hash ignores comments and field order, and follows every change of meaning", () => {
  const parse = (text: string): string => policyHash(parsePolicy(text, "p").policy);
  const one = parse("version: 1\nroots: [{path: ~/src, access: rw}]\n");
  assert.equal(parse("# hello\nroots:\n  - access: rw # there\n    path: ~/src\nversion: 1\n"), one);
  assert.notEqual(parse("version: 1\nroots: [{path: ~/src, access: ro}]\n"), one);
  assert.notEqual(parse("version: 1\nroots: [{path: ~/src, access: rw}]\nprotect: [x]\n"), one);
  assert.equal(
    parse("version: 1\nroots: [{path: ~/src, access: rw}]\nprofiles: {default: {home: volume}}\n"),
    one,
  );
});

test("allow and remove keep comments, order and mode", async () => {
  using lab = new PolicyLab();
  const text = "# mine\nversion: 1\nroots:\n  # code\n  - path: ~/src\n    access: rw # all of it\n";
  const policy = await lab.policy(text);
  chmodSync(lab.file, 0o640);
  const other = join(lab.base, "other");
  lab.write(other, { x: "" });
  await policy.allow(other, "ro");
  const added = readFileSync(lab.file, "utf8");
  assert.match(added, /# mine\n[^]*# code\n[^]*# all of it\n/);
  assert.equal(statSync(lab.file).mode & 0o777, 0o640);
  assert.equal((await policy.judgePath(other)).access, "ro");
  await policy.allow(other, "rw");
  assert.equal((await policy.judgePath(other)).access, "rw");
  await policy.remove(other);
  assert.equal(readFileSync(lab.file, "utf8"), text);
  assert.equal((await policy.judgePath(other)).code, "PATH_NOT_ALLOWED");
});

test("the first allow makes a private file", async () => {
  using lab = new PolicyLab();
  const policy = await PolicyFile.load(lab);
  await policy.allow("~/src", "rw");
  assert.equal(statSync(lab.file).mode & 0o777, 0o600);
  assert.deepEqual(policy.policy.roots, [{ path: lab.src, access: "rw" }]);
  assert.deepEqual(readdirSync(lab.configDir), ["policy.yaml"]);
});

test("allow refuses a denied place, the root folder, and what does not exist; the file stays as it was", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  lab.write(lab.home, { ".ssh/id_rsa": "x" });
  const before = readFileSync(lab.file, "utf8");
  await refused(policy.allow("~/.ssh", "ro"), "PATH_DENIED");
  await refused(policy.allow("/", "ro"), "PATH_DENIED");
  await refused(policy.allow("/etc", "ro"), "PATH_DENIED");
  await refused(policy.allow(lab.configDir, "rw"), "PATH_DENIED");
  await refused(policy.allow("~/absent", "ro"), "PATH_NOT_FOUND");
  await refused(policy.allow("../x", "ro"), "PATH_INVALID");
  assert.equal(readFileSync(lab.file, "utf8"), before);
});

test("the home folder may be an allowed root, and is still not given itself", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  await policy.allow("~", "rw");
  assert.equal((await policy.judgePath("~")).rule, "policy.paths.deny[home]");
  assert.equal((await policy.judgePath(lab.folder("a"))).allowed, true);
});

test("removing a root that is not there is refused", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  await refused(policy.remove("/nowhere"), "PATH_NOT_ALLOWED");
});

test("a symlinked policy file is refused", async () => {
  using lab = new PolicyLab();
  await lab.policy();
  renameSync(lab.file, `${lab.file}.real`);
  symlinkSync(`${lab.file}.real`, lab.file);
  const error = await refused(PolicyFile.load(lab), "POLICY_INVALID");
  assert.match(error.message, /symlink/);
});

for (const mode of [0o620, 0o602, 0o666]) {
  test(`a policy file of mode ${mode.toString(8)} is refused with the command that mends it`, async () => {
    using lab = new PolicyLab();
    await lab.policy();
    chmodSync(lab.file, mode);
    const error = await refused(PolicyFile.load(lab), "POLICY_INVALID");
    assert.equal(error.hint, `chmod go-w '${lab.file}'`);
  });
}

test("a policy file in a folder that others may write to is refused", async () => {
  using lab = new PolicyLab();
  await lab.policy();
  chmodSync(lab.configDir, 0o777);
  await refused(PolicyFile.load(lab), "POLICY_INVALID");
});

test(
  "a policy file of somebody else is refused",
  { skip: process.geteuid?.() === 0 ? false : "only root can give files away" },
  async () => {
    using lab = new PolicyLab();
    await lab.policy();
    chownSync(lab.file, 1234, 1234);
    await refused(PolicyFile.load(lab), "POLICY_INVALID");
  },
);

test("an invalid file keeps the previous policy in force and is reported once", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const events: PolicyEvent[] = [];
  using _listening = policy.onEvent((event) => events.push(event));
  const { hash } = policy;
  writeFileSync(lab.file, "version: 1\nrots: []\n");
  await refused(policy.reload(), "POLICY_INVALID");
  await refused(policy.reload(), "POLICY_INVALID");
  assert.equal(policy.hash, hash);
  assert.match(policy.problem?.message ?? "", /2:1: rots/);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["problem"],
  );
  await refused(policy.allow("~/src", "ro"), "POLICY_INVALID");
  writeFileSync(lab.file, "version: 1\nroots: []\n");
  assert.equal(await policy.reload(), true);
  assert.equal(policy.problem, null);
  assert.equal(events.at(-1)?.kind, "changed");
});

test("a saved change is in force without being asked for, and a removed file takes everything back", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const stop = new AbortController();
  await policy.watch(stop.signal);
  try {
    writeFileSync(`${lab.file}.tmp`, "version: 1\nroots: []\n", { mode: 0o600 });
    renameSync(`${lab.file}.tmp`, lab.file);
    for (let round = 0; policy.policy.roots.length > 0 && round < 6000; round += 1) await sleep(20);
    assert.deepEqual(policy.policy.roots, []);
    rmSync(lab.file);
    for (let round = 0; policy.exists && round < 6000; round += 1) await sleep(20);
    assert.equal(policy.exists, false);
  } finally {
    stop.abort();
  }
});

test("an unknown profile is refused with the ones there are", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  assert.throws(() => policy.profile("constructor"), { code: "PROFILE_NOT_FOUND" });
});
