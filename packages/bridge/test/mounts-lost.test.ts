import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { lostProtections } from "../src/machines/mounts/index.ts";
import { PolicyLab, git, plan, releaseAll } from "./policy-lab.ts";

afterEach(releaseAll);

const unsharing = spawnSync("unshare", ["-m", "true"]).status === 0;

test(
  "a protection that the host's own git took away, by replacing the file under it, is found",
  { skip: unsharing ? false : "needs the right to make a mount namespace" },
  async () => {
    using lab = new PolicyLab();
    const policy = await lab.policy();
    const repo = lab.repo("app");
    await using planned = await plan(lab, policy, [repo]);
    const root = join(lab.base, "root");
    const steps = planned.mounts.map(({ source, target, access }) => {
      const at = `${root}${target}`;
      const place = target === "/workspace/app" ? `mkdir -p ${at}; ` : "";
      return `${place}mount --bind ${source} ${at}; ${access === "ro" ? `mount -o remount,bind,ro ${at}` : ":"}`;
    });
    const script = `set -e\n${steps.join("\n")}\necho ready\nread -r _`;
    const machine = spawn("unshare", ["-m", "--propagation", "private", "sh", "-c", script], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    try {
      await once(machine.stdout, "data");
      const seen = planned.mounts.map((mount) => ({ ...mount, target: `${root}${mount.target}` }));
      assert.deepEqual(await lostProtections(machine.pid ?? 0, seen), []);
      git(repo, "config", "user.name", "Ada");
      const lost = await lostProtections(machine.pid ?? 0, seen);
      assert.deepEqual(
        lost.map(({ target }) => target),
        [`${root}/workspace/app/.git/config`],
      );
    } finally {
      machine.stdin.end("\n");
      await once(machine, "close");
    }
  },
);
