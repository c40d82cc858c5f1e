import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { DoorwardError } from "@doorward/contracts";
import { needsRoot, openLab, REPO_OWNER, type Lab } from "../support/lab.ts";
import { procFile } from "../support/leftovers.ts";

/** Launches while the repo is under attack: DOORWARD_TEST_RACES; 1,000 on a host of one's own. */
const LAUNCHES = Number(process.env["DOORWARD_TEST_RACES"] ?? 25);

/**
 * Swaps names of the repo for symlinks and back until its time is over. It rests at random, so that launches meet every
 * state of it: before, in the middle of and after a swap.
 */
const ATTACK = `
const fs = require("fs"), outside = process.argv[1], end = Date.now() + Number(process.argv[2]);
const names = [".vscode", ".idea", ".envrc", ".devcontainer", "sub/.git", "sub/.vscode", "deep/er/.git", "mod", "pkg", "sub"];
const rest = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
const t = (f) => { try { f(); return true; } catch { return false; } };
let swaps = 0;
while (Date.now() < end) {
  const name = names[Math.floor(Math.random() * names.length)];
  const aside = "/workspace/shop/.aside-" + name.replaceAll("/", "_"), real = "/workspace/shop/" + name;
  const target = [outside, "/etc", "../../.."][swaps % 3];
  if (t(() => fs.renameSync(real, aside)) && t(() => fs.symlinkSync(target, real))) swaps++;
  rest(Math.random() * 8);
  t(() => fs.unlinkSync(real));
  t(() => fs.renameSync(aside, real));
  rest(Math.random() * 400);
}
console.log(swaps);
`;

describe(
  `${String(LAUNCHES)} launches on a repo that another machine swaps under them`,
  { skip: needsRoot },
  () => {
    let lab: Lab;
    let repo: string;
    let outside: string;

    before(async () => {
      lab = await openLab();
      repo = lab.repo("shop", {
        ".vscode/tasks.json": "{}\n",
        ".idea/x.xml": "x\n",
        ".envrc": "export A=1\n",
        ".devcontainer/devcontainer.json": "{}\n",
        "sub/.vscode/settings.json": "{}\n",
        "mod/file": "x\n",
        "pkg/package.json": "{}\n",
        "deep/er/file": "x\n",
      });
      const { execFileSync } = await import("node:child_process");
      for (const nested of ["sub", "deep/er"]) execFileSync("git", ["init", "--quiet", join(repo, nested)]);
      execFileSync("chown", ["-R", `${String(REPO_OWNER)}:${String(REPO_OWNER)}`, repo]);
      outside = join(lab.root, "outside");
      mkdirSync(join(outside, "hooks"), { recursive: true });
      for (const name of ["config", "hooks/post-commit", "secret"])
        writeFileSync(join(outside, name), "the host's\n");
      await lab.up(repo, "--name", "attacker");
    });
    after(async () => await lab[Symbol.asyncDispose]());

    /** Attacks from inside the machine, and from the host as another process of the repo's owner would. */
    function attack(seconds: number): { readonly inside: Promise<number>; readonly host: ChildProcess } {
      const inside = lab
        .exec("attacker", ["node", "-e", ATTACK, outside, String(seconds * 1000)])
        .then(({ stdout }) => Number(stdout.trim()));
      const program = ATTACK.replaceAll("/workspace/shop/", `${repo}/`);
      const host = spawn(process.execPath, ["-e", program, outside, String(seconds * 1000)], {
        stdio: "ignore",
      });
      return { inside, host };
    }

    /** Every mount of a machine's repo is the folder of the repo that its name says, seen from the host. */
    function mountsOutside(id: string): string[] {
      const allowed = [repo, join(lab.home, "state"), join(lab.home, "run")];
      const found: string[] = [];
      for (const { pid } of lab.inside()) {
        if (!/^NSpid:.*\s1$/m.test(procFile(pid, "status"))) continue;
        const mounts = procFile(pid, "mountinfo").split("\n");
        if (!mounts.some((line) => line.includes(id))) continue;
        for (const line of mounts) {
          const [, , device = "", root = "", target = ""] = line.split(" ");
          if (!target.startsWith("/workspace")) continue;
          const inRepo = allowed.some((path) => root === path || root.startsWith(`${path}/`));
          const rightPlace =
            root.startsWith(join(lab.home, "state")) ||
            `/workspace/shop${root.slice(repo.length)}` === target ||
            root.includes("/.aside-");
          if (device !== deviceOf(repo) || !inRepo || !rightPlace) found.push(`${root} at ${target}`);
        }
      }
      return found;
    }

    it(
      "no machine ever gets a mount outside the repo, and nothing outside is written",
      { timeout: 3_600_000 },
      async (t) => {
        await using client = lab.client();
        const codes = new Map<string, number>();
        const messages = new Set<string>();
        const times: number[] = [];
        const running = attack(3600);
        try {
          for (let round = 0; round < LAUNCHES; round += 1) {
            const began = performance.now();
            const outcome = await client
              .call("machines.up", { body: { repos: [{ path: repo }], fresh: true, temporary: true } })
              .then(
                ({ machine }) => machine,
                (thrown: unknown) => {
                  const error = thrown as DoorwardError;
                  messages.add(`${error.code}: ${error.message.slice(0, 300)}`);
                  return error.code;
                },
              );
            times.push(performance.now() - began);
            const code = typeof outcome === "string" ? outcome : "launched";
            codes.set(code, (codes.get(code) ?? 0) + 1);
            if (typeof outcome === "string") continue;
            assert.deepEqual(mountsOutside(outcome.id), []);
            const seen = await lab.sh(
              outcome.id,
              "cat .vscode/secret .envrc/secret sub/.git/config mod/secret pkg/secret .idea/secret 2>/dev/null | grep -c 'the host'",
            );
            assert.equal(seen.stdout.trim(), "0", "the host's file was read");
            await lab.sh(
              outcome.id,
              "for p in .vscode sub/.git mod pkg .idea .devcontainer; do echo evil > $p/evil; done 2>/dev/null",
            );
            await client.call("machines.remove", {
              params: { machine: outcome.id },
              query: { force: "true" },
            });
          }
        } finally {
          running.host.kill("SIGKILL");
          await lab.sh("attacker", "pkill -f workspace/shop/.aside; true").catch(() => undefined);
          await running.inside.catch(() => 0);
        }
        assert.ok(!existsSync(join(outside, "evil")) && !existsSync("/etc/evil"));
        for (const name of ["config", "hooks/post-commit", "secret"])
          assert.equal(lstatSync(join(outside, name)).size, 11, name);
        if (process.env["DOORWARD_TEST_VERBOSE"] === "1")
          for (const message of messages) t.diagnostic(message);
        times.sort((a, b) => a - b);
        t.diagnostic(`outcomes: ${[...codes].map(([code, count]) => `${code} ${count}`).join(", ")}`);
        t.diagnostic(
          `a launch under attack: median ${Math.round(times[times.length >> 1] ?? 0)} ms, worst ${Math.round(times.at(-1) ?? 0)} ms`,
        );
        for (const code of codes.keys()) assert.ok(!["INTERNAL"].includes(code), code);
      },
    );

    it("afterwards only the attacker runs, and the evidence verifies", async () => {
      assert.deepEqual(
        (await lab.machines()).map(({ name }) => name),
        ["attacker"],
      );
      assert.equal((await lab.containers()).length, 1);
      assert.equal((await lab.run(["evidence", "verify"])).code, 0);
    });
  },
);

/** Device of a path as `mountinfo` writes it. */
function deviceOf(path: string): string {
  const { dev } = statSync(path);
  return `${dev >> 8}:${dev & 0xff}`;
}
