import assert from "node:assert/strict";
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";

interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly rule?: string;
  readonly hint?: string;
}

describe("up refuses paths that no machine may see", () => {
  let lab: Lab;
  let user: string;

  before(async () => {
    lab = await openLab();
    user = join(lab.root, "user");
    for (const name of [
      ".ssh",
      ".gnupg",
      ".aws",
      ".azure",
      ".config/gcloud",
      ".kube",
      ".docker",
      ".mozilla",
      "src",
    ])
      mkdirSync(join(user, name), { recursive: true });
    for (const name of [".npmrc", ".pypirc", ".netrc"]) writeFileSync(join(user, name), "secret\n");
    // Everything below is allowed, so that what refuses is not that no root covers it.
    const allow = await lab.run(["policy", "allow", user]);
    assert.equal(allow.code, 0, allow.stderr);
    lab.repo("shop");
    lab.repo("linked");
    writeFileSync(join(lab.root, "outside.txt"), "outside\n");
    linkSync(join(lab.root, "outside.txt"), join(lab.sources, "linked", "twin.txt"));
    for (const [name, target] of [
      ["to-home", user],
      ["to-root", "/"],
      ["to-ssh", join(user, ".ssh")],
      ["to-state", join(lab.home, "state")],
      ["to-etc", "/etc"],
      ["dangling", join(lab.root, "nowhere")],
      ["loop", join(lab.sources, "loop")],
    ] as const)
      symlinkSync(target, join(lab.sources, name));
    writeFileSync(join(lab.sources, "file"), "a file\n");
    mkdirSync(join(lab.sources, "new\nline"));
    mkdirSync(join(lab.sources, "escape\u001b]0;x\u0007"));
    mkdirSync(join(lab.sources, "turned\u202egnp"));
  });
  after(async () => await lab[Symbol.asyncDispose]());

  /** Asks for a machine on a path and checks that nothing but a denial record came of it. */
  async function refused(
    path: string,
    code: RegExp,
    rule: RegExp,
    options: { cwd?: string } = {},
  ): Promise<Problem> {
    const before = (await lab.records("denial")).length;
    const ran = await lab.run(["up", path, "--json"], options);
    const problem = JSON.parse(ran.stderr.trim().split("\n").at(-1) ?? "{}") as Problem;
    assert.match(problem.code, code, problem.detail);
    assert.match(problem.rule ?? "", rule, problem.detail);
    assert.ok((problem.hint ?? "").length > 0, "a hint");
    assert.doesNotMatch(ran.stderr, /[\u001b\u202e]/u);
    assert.ok([2, 3, 4].includes(ran.code ?? 0), `exit code ${String(ran.code)}`);
    assert.equal(ran.stdout, "");
    const denials = await lab.records("denial");
    assert.equal(denials.length, before + 1, "a denial record");
    assert.ok(denials[0]?.summary.includes(problem.code), denials[0]?.summary);
    assert.deepEqual(await lab.machines(), []);
    return problem;
  }

  const cases: readonly (readonly [name: string, path: () => string, code: RegExp, rule: RegExp])[] = [
    ["the home folder", () => user, /PATH_DENIED/, /deny\[home\]/],
    ["the whole file system", () => "/", /PATH_DENIED/, /deny\[root\]/],
    ["~/.ssh", () => join(user, ".ssh"), /PATH_DENIED/, /deny\[ssh\]/],
    ["~/.gnupg", () => join(user, ".gnupg"), /PATH_DENIED/, /deny\[gnupg\]/],
    ["~/.aws", () => join(user, ".aws"), /PATH_DENIED/, /deny\[cloud\]/],
    ["~/.azure", () => join(user, ".azure"), /PATH_DENIED/, /deny\[cloud\]/],
    ["~/.config/gcloud", () => join(user, ".config/gcloud"), /PATH_DENIED/, /deny\[cloud\]/],
    ["~/.kube", () => join(user, ".kube"), /PATH_DENIED/, /deny\[kube\]/],
    ["~/.docker", () => join(user, ".docker"), /PATH_DENIED/, /deny\[containers\]/],
    ["a browser's profiles", () => join(user, ".mozilla"), /PATH_DENIED/, /deny\[browser\]/],
    ["a folder that contains a denied one", () => join(user, ".config"), /PATH_DENIED/, /deny\[/],
    ["~/.npmrc", () => join(user, ".npmrc"), /PATH_DENIED/, /deny\[/],
    [
      "~/.ssh that does not exist yet, by a path below it",
      () => join(user, ".ssh", "later"),
      /PATH_DENIED/,
      /deny\[ssh\]/,
    ],
    ["Doorward's own state", () => join(lab.home, "state"), /PATH_DENIED/, /deny\[doorward\]/],
    ["Doorward's own configuration", () => join(lab.home, "config"), /PATH_DENIED/, /deny\[doorward\]/],
    ["a folder that contains Doorward's state", () => lab.root, /PATH_DENIED/, /deny\[/],
    ["/etc", () => "/etc", /PATH_DENIED|PATH_NOT_ALLOWED/, /./],
    ["/var/run", () => "/var/run", /PATH_DENIED|PATH_NOT_ALLOWED/, /./],
    ["a folder under no root", () => "/usr/share", /PATH_DENIED|PATH_NOT_ALLOWED/, /./],
    ["a symlink to the home folder", () => join(lab.sources, "to-home"), /PATH_DENIED/, /deny\[home\]/],
    ["a symlink to /", () => join(lab.sources, "to-root"), /PATH_DENIED/, /deny\[root\]/],
    ["a symlink to ~/.ssh", () => join(lab.sources, "to-ssh"), /PATH_DENIED/, /deny\[ssh\]/],
    ["a symlink to Doorward's state", () => join(lab.sources, "to-state"), /PATH_DENIED/, /deny\[doorward\]/],
    ["a symlink out of the allowed folder", () => join(lab.sources, "to-etc"), /PATH_/, /./],
    ["a path below a symlink", () => join(lab.sources, "to-home", ".ssh"), /PATH_DENIED/, /deny\[ssh\]/],
    ["a symlink that leads nowhere", () => join(lab.sources, "dangling"), /PATH_NOT_FOUND/, /form\[exists\]/],
    ["a symlink that leads to itself", () => join(lab.sources, "loop"), /PATH_NOT_FOUND/, /form\[exists\]/],
    ["a path with ..", () => `${lab.sources}/shop/../shop`, /PATH_INVALID/, /form\[parent\]/],
    ["a path that does not exist", () => join(lab.sources, "absent"), /PATH_NOT_FOUND/, /form\[exists\]/],
    ["a file", () => join(lab.sources, "file"), /PATH_NOT_DIRECTORY/, /form\[folder\]/],
    ["a path with a newline", () => join(lab.sources, "new\nline"), /PATH_INVALID/, /form\[control\]/],
    [
      "a path with an escape sequence",
      () => join(lab.sources, "escape\u001b]0;x\u0007"),
      /PATH_INVALID/,
      /form\[control\]/,
    ],
    [
      "a path that turns text around",
      () => join(lab.sources, "turned\u202egnp"),
      /PATH_INVALID/,
      /form\[control\]/,
    ],
    [
      "a path longer than the system's longest",
      () => `/${"a/".repeat(2040)}`,
      /PATH_INVALID|PATH_NOT_FOUND/,
      /form\[/,
    ],
    ["a repo with a hard link outside", () => join(lab.sources, "linked"), /HARDLINK_OUTSIDE/, /./],
  ];
  for (const [name, path, code, rule] of cases) {
    it(`${name} is refused with a code, a rule and a hint, and recorded`, async () => {
      await refused(path(), code, rule);
    });
  }

  it("a relative .. is refused too, wherever the command runs", async () => {
    await refused("../shop", /PATH_INVALID/, /form\[parent\]/, { cwd: join(lab.sources, "shop") });
  });

  it("a denied path as the second repo, or read-only, refuses the whole launch", async () => {
    for (const extra of [[join(user, ".ssh")], ["--ro", join(user, ".ssh")]]) {
      const ran = await lab.run(["up", join(lab.sources, "shop"), ...extra]);
      assert.equal(ran.code, 3);
      assert.match(ran.stderr, /rule: policy\.paths\.deny\[ssh\]\n {2}hint: /);
    }
    assert.deepEqual(await lab.machines(), []);
  });

  it("run, start and policy allow can't get round it", async () => {
    assert.equal((await lab.run(["run", join(user, ".ssh"), "--", "true"])).code, 3);
    assert.notEqual((await lab.run(["policy", "allow", join(user, ".ssh")])).code, 0);
    assert.notEqual((await lab.run(["policy", "allow", "/"])).code, 0);
    const name = await lab.up(join(lab.sources, "shop"));
    await lab.run(["stop", name]);
    await lab.run(["policy", "remove", lab.sources]);
    const started = await lab.run(["start", name]);
    assert.equal(started.code, 3, started.stderr);
    assert.equal((await lab.run(["policy", "allow", lab.sources])).code, 0);
    assert.equal((await lab.run(["rm", name])).code, 0);
  });

  it("a machine that runs is stopped when the policy no longer allows its repo", async (t) => {
    const name = await lab.up(join(lab.sources, "shop"));
    const removed = await lab.run(["policy", "remove", lab.sources]);
    assert.equal(removed.code, 0);
    assert.equal((await lab.machine(name)).state, "stopped");
    t.diagnostic(`policy remove, with the machine stopped: ${Math.round(removed.ms)} ms`);
    await lab.run(["policy", "allow", lab.sources]);
    await lab.run(["rm", name]);
  });

  it("after all of it nothing was created, and the evidence verifies", async () => {
    assert.deepEqual(await lab.containers(), []);
    assert.deepEqual(lab.inside(), []);
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });
});
