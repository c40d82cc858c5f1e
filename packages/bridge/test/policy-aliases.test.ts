import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { aliasesIn, parseMounts } from "../src/policy/mount-aliases.ts";
import { PolicyLab } from "./policy-lab.ts";

const TABLE = parseMounts(
  [
    "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
    "2 1 8:2 / /home rw - ext4 /dev/sda2 rw",
    "3 1 8:2 /ada /srv/people/ada rw - ext4 /dev/sda2 rw",
    "4 1 8:2 /ada/.ssh /srv/keys rw - ext4 /dev/sda2 rw",
    String.raw`5 1 8:2 /ada/my\040files /srv/my\040files rw - ext4 /dev/sda2 rw`,
    "6 1 0:40 / /tmp rw - tmpfs tmpfs rw",
    "",
  ].join("\n"),
);

describe("other paths of a folder", () => {
  const cases: readonly (readonly [path: string, aliases: readonly string[]])[] = [
    ["/srv/people/ada", ["/home/ada", "/srv/keys", "/srv/my files"]],
    ["/srv/people/ada/src", ["/home/ada/src"]],
    ["/srv/keys", ["/home/ada/.ssh", "/srv/people/ada/.ssh"]],
    ["/srv/keys/old", ["/home/ada/.ssh/old", "/srv/people/ada/.ssh/old"]],
    ["/srv/my files/x", ["/home/ada/my files/x", "/srv/people/ada/my files/x"]],
    ["/srv/people", []],
    ["/home/eve", []],
    ["/tmp/src", []],
    ["/opt/ada", []],
  ];
  for (const [path, aliases] of cases) {
    test(`${path} is mounted at ${aliases.join(", ") || "no other place"}`, () => {
      assert.deepEqual([...aliasesIn(TABLE, path)].sort(), [...aliases].sort());
    });
  }

  test("a bind mount of the home folder, of one above it and of keys is refused by the rule of what it is", async (t) => {
    if (process.getuid?.() !== 0) {
      t.skip("needs root");
      return;
    }
    using lab = new PolicyLab();
    const policy = await lab.policy();
    mkdirSync(join(lab.home, ".ssh", "old"), { recursive: true });
    const binds = [
      [lab.home, "home"],
      [lab.base, "home"],
      [join(lab.home, ".ssh"), "ssh"],
      [join(lab.home, ".ssh", "old"), "ssh"],
    ] as const;
    const at = lab.folder("bound");
    for (const [source, rule] of binds) {
      execFileSync("mount", ["--bind", source, at]);
      try {
        const verdict = await policy.judgePath(at);
        assert.deepEqual([verdict.code, verdict.rule], ["PATH_DENIED", `policy.paths.deny[${rule}]`], source);
        assert.match(verdict.reason, /which is mounted there too/);
      } finally {
        execFileSync("umount", [at]);
      }
    }
    const repo = lab.folder("repo");
    execFileSync("mount", ["--bind", repo, at]);
    try {
      assert.equal((await policy.judgePath(at)).allowed, true, "an ordinary folder may be mounted twice");
    } finally {
      execFileSync("umount", [at]);
    }
  });
});
