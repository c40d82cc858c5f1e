import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReachedFolder } from "@doorward/doors";
import { guardedReach } from "../src/daemon/guarded-reach.ts";
import { PROTECTED_IN_GIT, protectedForFiles } from "../src/policy/index.ts";

const record = {
  repos: [
    { hostPath: "/srv/app", machinePath: "/workspace/app", access: "rw" },
    { hostPath: "/srv/lib", machinePath: "/workspace/lib", access: "ro" },
  ],
  protections: [
    { hostPath: "/srv/app", machinePath: "/workspace/app", protected: [], pins: [] },
    { hostPath: "/srv/main/.git", machinePath: "/workspace/.git-app", protected: [], pins: [] },
  ],
  profile: { isolation: { relaxations: [] } },
} as unknown as Parameters<typeof guardedReach>[1];

const guarded = (...folders: ReachedFolder[]): readonly ReachedFolder[] =>
  guardedReach({ workdir: "/workspace/app", folders, narrowed: false }, record, ["Justfile", "ci/keys/"])
    .folders;
const names = protectedForFiles(["Justfile", "ci/keys/"], []);

test("a writable repo's folder carries the names that its mounts protect, a read-only one none", () => {
  const lib: ReachedFolder = { path: "/workspace/lib", access: "ro" };
  const app: ReachedFolder = { path: "/workspace/app", access: "rw" };
  assert.deepEqual(guarded(app, lib), [{ ...app, protected: names }, lib]);
  for (const name of [".vscode", "Justfile", "ci/keys", ".git/hooks", ".git/config"])
    assert.ok(names.includes(name), name);
});

test("whoever reaches everything has the repos' names besides, and those of a worktree's git folder", () => {
  assert.deepEqual(guarded({ path: "/", access: "rw" }), [
    { path: "/", access: "rw" },
    { path: "/workspace/app", access: "rw", protected: names },
    { path: "/workspace/.git-app", access: "rw", protected: PROTECTED_IN_GIT },
  ]);
});

test("seen from a folder above a protected name, that name is its last part", () => {
  const seen = (path: string): readonly string[] => guarded({ path, access: "rw" })[0]?.protected ?? [];
  assert.ok(seen("/workspace/app/.claude").includes("settings.json"));
  assert.ok(seen("/workspace/app/.git").includes("hooks"));
  assert.ok(seen("/workspace/app/ci").includes("keys"));
  assert.deepEqual(seen("/workspace/app/src"), names);
  assert.deepEqual(seen("/workspace/appendix"), []);
});

test("without the protection of git's settings those are free, and its hooks are not", () => {
  const relaxed = protectedForFiles([], ["unprotected-git-config"]);
  assert.ok(!relaxed.includes(".git/config") && relaxed.includes(".git/hooks"));
});
