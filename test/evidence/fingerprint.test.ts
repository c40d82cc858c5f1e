import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { needsRoot, openLab, type Lab } from "../support/lab.ts";

const POLICY = `grants: []
profiles:
  memory: { limits: { memoryMiB: 2048 } }
  pids: { limits: { pids: 512 } }
  cpus: { limits: { cpus: 1 } }
  tmp: { limits: { tmpMiB: 512 } }
  shm: { limits: { shmMiB: 32 } }
  nofile: { limits: { nofile: 8192 } }
  seccomp: { isolation: { relaxations: [user-namespaces-inside] } }
  gitconfig: { isolation: { relaxations: [unprotected-git-config] } }
  variable: { environment: { MODE: one } }
  door: { doors: { terminal: { attach: { allowed: true, maxTerminals: 3, maxViewers: 16, observers: true, scrollbackBytes: 2097152 } } } }
  observers: { doors: { terminal: { attach: { allowed: true, maxTerminals: 32, maxViewers: 16, observers: false, scrollbackBytes: 2097152 } } } }
  memory-home: { home: tmpfs }
`;

interface Diff {
  readonly equal: boolean;
  readonly before: { readonly digest: string };
  readonly after: { readonly digest: string };
  readonly changes: readonly { readonly path: string; readonly kind: string; from?: unknown; to?: unknown }[];
}

describe("the fingerprints of real launches", { skip: needsRoot }, () => {
  let lab: Lab;
  let repo: string;
  let first: number;

  before(async () => {
    lab = await openLab({ policy: POLICY });
    repo = lab.repo("shop", { "a.js": "1\n", ".env": "KEY=1\n", ".vscode/tasks.json": "{}\n" });
    first = (await launch(repo)).evidence;
  });
  after(async () => await lab[Symbol.asyncDispose]());

  /** Launches a machine of its own, and removes it. */
  async function launch(...args: readonly string[]): Promise<{ evidence: number; fingerprint: string }> {
    const up = await lab.json<{ name: string; evidence: number; fingerprint: string }>([
      "up",
      "--new",
      ...args,
    ]);
    await lab.run(["rm", up.name, "--force"]);
    return up;
  }

  async function diff(one: number | string, other?: number | string, ...more: string[]): Promise<Diff> {
    const names = [one, ...(other === undefined ? [] : [other])].map(String);
    const ran = await lab.run(["evidence", "show", "--diff", ...names, "--json", ...more]);
    const seen = JSON.parse(ran.stdout) as Diff;
    assert.equal(ran.code, seen.equal ? 0 : 1, ran.stderr);
    assert.equal(seen.equal, seen.before.digest === seen.after.digest);
    assert.equal(seen.equal, seen.changes.length === 0);
    return seen;
  }

  /** Paths that a launch differs in from the first one, each once. */
  async function changed(...args: readonly string[]): Promise<string[]> {
    const { changes } = await diff(first, (await launch(...args)).evidence);
    return [...new Set(changes.map(({ path }) => path))].sort();
  }

  it("two launches of the same are equal, and so are another machine's, after stop and start, and after a restart of the bridge", async () => {
    assert.deepEqual((await diff(first, (await launch(repo)).evidence)).changes, []);
    const name = await lab.up("--new", repo);
    await lab.run(["stop", name]);
    await lab.run(["start", name]);
    assert.deepEqual((await diff(name)).changes, []);
    await lab.stopBridge();
    await lab.run(["stop", name]);
    await lab.run(["start", name]);
    assert.deepEqual((await diff(first, name)).changes, []);
    await lab.run(["rm", name, "--force"]);
  });

  it("two review machines of the same repo are equal", async () => {
    const [one, two] = [await launch(repo, "--review"), await launch(repo, "--review")];
    assert.equal((await diff(one.evidence, two.evidence)).equal, true);
  });

  const profiles: readonly (readonly [profile: string, paths: readonly string[]])[] = [
    ["memory", ["isolation.limits.memoryBytes", "isolation.limits.swapBytes", "profile.limits.memoryMiB"]],
    ["pids", ["isolation.limits.nproc", "isolation.limits.pids", "profile.limits.pids"]],
    ["cpus", ["isolation.limits.cpus", "profile.limits.cpus"]],
    ["tmp", ["isolation.mounts[/tmp].options", "profile.limits.tmpMiB"]],
    ["shm", ["isolation.mounts[/dev/shm].options", "profile.limits.shmMiB"]],
    ["nofile", ["isolation.limits.nofile", "profile.limits.nofile"]],
    ["seccomp", ["isolation.seccompProfile", "profile.isolation.relaxations", "relaxations"]],
    ["gitconfig", ["mounts[/workspace/shop/.git/config]", "profile.isolation.relaxations", "relaxations"]],
    ["variable", ["isolation.environment", "profile.environment.MODE"]],
    ["door", ["profile.doors.terminal.attach.maxTerminals"]],
    ["observers", ["profile.doors.terminal.attach.observers"]],
  ];
  for (const [profile, paths] of profiles) {
    it(`another ${profile} is another fingerprint, and the difference names it and nothing else`, async () => {
      const seen = await changed(repo, "--profile", profile);
      assert.deepEqual(seen, [...paths, "profile.id", "profile.name"].sort());
    });
  }

  it("a home in memory is another fingerprint", async () => {
    const seen = await changed(repo, "--profile", "memory-home");
    const home = seen.filter((path) => !path.includes("[/home/agent]"));
    assert.deepEqual(home, ["profile.home", "profile.id", "profile.name"]);
    assert.ok(seen.includes("mounts[/home/agent]"));
  });

  it("a read-only mount is another fingerprint: its access, its options, and the protections it needs no more", async () => {
    const seen = await changed("--ro", repo);
    assert.ok(seen.includes("mounts[/workspace/shop].access"), seen.join());
    assert.ok(seen.includes("isolation.mounts[/workspace/shop].options"), seen.join());
    const others = seen.filter((path) => !/^(?:isolation\.)?mounts\[\/workspace\/shop[\]/]/.test(path));
    assert.deepEqual(others, []);
  });

  it("a masked name is another fingerprint, and so is a glob that finds nothing", async () => {
    const masked = ["hide", "isolation.mounts[/workspace/shop/.env]", "mounts[/workspace/shop/.env]"];
    assert.deepEqual(await changed(repo, "--hide", ".env"), masked);
    assert.deepEqual(await changed(repo, "--hide", "nothing-there"), ["hide"]);
  });

  it("another repo, and the same path cloned anew, are other fingerprints", async () => {
    const other = await changed(lab.repo("other"));
    assert.ok(other.includes("mounts[/workspace/other]") && other.includes("mounts[/workspace/shop]"));
    const again = lab.repo("again");
    const { evidence } = await launch(again);
    // Kept under another name: a file system may give the inode of a deleted folder to the next one.
    renameSync(again, join(lab.sources, "the-first"));
    lab.repo("again");
    const { changes } = await diff(evidence, (await launch(again)).evidence);
    assert.ok(changes.some(({ path }) => path === "mounts[/workspace/again].ino"));
  });

  it("another image is another fingerprint: id, digest and recipe", async () => {
    const { image } = await lab.machine(await lab.up(repo));
    await lab.podman("create", "--name", "changed", image?.id ?? "", "true");
    await lab.podman(
      "commit",
      "--quiet",
      "--change",
      "LABEL dev.example=1",
      "changed",
      "localhost/changed:1",
    );
    await lab.podman("rm", "changed");
    const seen = await changed(repo, "--image", "localhost/changed:1");
    // Our own image has variables for what only it is known to hold.
    const ofImage = seen.filter((path) => path !== "isolation.environment");
    assert.deepEqual(ofImage, [
      "image.digest",
      "image.id",
      "image.recipe",
      "isolation.imageId",
      "profile.image.name",
    ]);
  });

  it("a changed line of the policy is another fingerprint, also one that does not touch the machine", async () => {
    mkdirSync(join(lab.root, "elsewhere"));
    assert.equal((await lab.run(["policy", "allow", join(lab.root, "elsewhere")])).code, 0);
    assert.deepEqual(await changed(repo), ["policyHash"]);
    assert.equal((await lab.run(["policy", "remove", join(lab.root, "elsewhere")])).code, 0);
  });

  it("the difference for people is escaped and says old and new; from an export it is the same without a bridge", async () => {
    const { evidence } = await launch(repo, "--profile", "pids");
    const seen = await lab.run(["evidence", "show", "--diff", String(first), String(evidence)]);
    assert.equal(seen.code, 1);
    assert.match(seen.stdout, /^--- \d+ {2}shop/);
    assert.match(seen.stdout, /^~ profile\.limits\.pids {2}1024 -> 512$/m);
    assert.doesNotMatch(seen.stdout, /\u001b/);
    const audit = join(lab.root, "audit");
    assert.equal((await lab.run(["evidence", "export", audit])).code, 0);
    const offline = await lab.run(
      ["evidence", "show", "--diff", String(first), String(evidence), "--from", audit],
      {
        env: { DOORWARD_HOME: join(lab.root, "nobody") },
      },
    );
    assert.deepEqual([offline.code, offline.stdout], [1, seen.stdout]);
  });

  it("what can't be compared is no difference: unknown machines, other records and wrong ids have codes of their own", async () => {
    const code = async (...args: string[]): Promise<number | null> =>
      (await lab.run(["evidence", "show", ...args])).code;
    assert.equal(await code("--diff", String(first), "nobody"), 4);
    assert.equal(await code("--diff", String(first), "0"), 4);
    assert.equal(await code("--diff", String(first), "999999"), 4);
    assert.equal(await code("--diff", String(first), `e_${String(first)}_aaaaaaaa`), 4);
    assert.equal(await code("--diff", String(first)), 2);
    assert.equal(await code("--diff", String(first), "No Such\u001b"), 2);
    assert.equal(await code(String(first), String(first)), 2);
    assert.equal(await code("--diff", "1", "2", "--from", join(lab.root, "nowhere")), 2);
  });

  it("five lines of Python recompute the digest of a real record", async (t) => {
    const page = readFileSync(new URL("../../docs/fingerprint.md", import.meta.url), "utf8");
    const recipe = /```python\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
    const { stdout } = await lab.run(["evidence", "show", String(first), "--json"]);
    const python = spawnSync("python3", ["-c", recipe], { input: stdout, encoding: "utf8" });
    if (python.error !== undefined) {
      t.skip("python3 is not installed");
      return;
    }
    const known = JSON.parse(stdout) as { statement: { predicate: { fingerprint: { digest: string } } } };
    assert.equal(python.stdout, `${known.statement.predicate.fingerprint.digest} equal\n`, python.stderr);
    const forged = stdout.replace('"noNewPrivs": true', '"noNewPrivs": false');
    assert.match(
      spawnSync("python3", ["-c", recipe], { input: forged, encoding: "utf8" }).stdout,
      /NOT the record's/,
    );
  });
});
