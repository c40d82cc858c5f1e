import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { daemonCommand } from "../../packages/bridge/src/cli/daemon-command.ts";
import { needsRoot, openLab, type Lab } from "../support/lab.ts";

describe("a bridge that starts while its state folder has no room", { skip: needsRoot }, () => {
  let lab: Lab;
  let state: string;

  before(async () => {
    lab = await openLab();
    state = join(lab.home, "state");
    mkdirSync(state, { recursive: true, mode: 0o700 });
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=600m,mode=700", "dw-state", state]);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const fill = (): void => {
    execFileSync("sh", ["-c", `cat /dev/zero >> ${join(state, "filler")} 2>/dev/null || true`]);
  };
  const states = async (): Promise<string[]> => (await lab.machines()).map(({ state: each }) => each);
  const containerOf = async (name: string): Promise<string> => {
    const { id } = await lab.machine(name);
    const label = `label=dev.doorward.machine=${id}`;
    return await lab.podman("ps", "--quiet", "--no-trunc", "--filter", label);
  };

  it(
    "has its machines, knows which ended meanwhile, and stops the others",
    { timeout: 400_000 },
    async () => {
      const kept = await lab.up(lab.repo("shop"), "--name", "kept");
      await lab.up(lab.repo("other"), "--name", "gone");
      const [stays, ends] = [await containerOf(kept), await containerOf("gone")];
      await lab.killBridge();
      await lab.podman("kill", ends);
      fill();

      const { program, args } = daemonCommand();
      const bridge = spawn(program, args, { env: lab.env, stdio: "ignore" });
      try {
        await lab.until("machines are adopted", () =>
          states().then(
            (all) => all.includes("stopped"),
            () => false,
          ),
        );
        assert.deepEqual(await states(), ["running", "stopped"]);
        await using client = lab.client();
        await client.call("machines.stop", { params: { machine: kept } });
        assert.deepEqual(await states(), ["stopped", "stopped"]);
        assert.ok(!(await lab.containers()).some((line) => line.startsWith(stays)));

        rmSync(join(state, "filler"));
        // The store takes changes again, and learns what it missed with the next of them.
        await client.call("machines.remove", { params: { machine: "gone" }, query: { force: "true" } });
        await lab.killBridge();
        assert.equal((await lab.run(["ls"])).code, 0);
        assert.deepEqual(await states(), ["stopped"]);
        assert.equal((await lab.machine(kept)).stateReason, "stopped by command");
        const again = await lab.run(["start", kept]);
        assert.equal(again.code, 0, again.stderr);
      } finally {
        bridge.kill("SIGKILL");
      }
    },
  );
});
