import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { toDoorwardError } from "@doorward/contracts";
import { mountOf, mountsBelow, never, openLab, skipped, type Lab } from "./podman-lab.ts";

const sleep = ["sleep", "1000"];

function processesNaming(text: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      if (!Number.isSafeInteger(pid) || pid === process.pid) return false;
      try {
        return readFileSync(`/proc/${String(pid)}/cmdline`, "utf8").includes(text);
      } catch {
        return false;
      }
    });
}

/** Accepts a failure with one of these codes, and nothing else. */
function failsWith(...codes: string[]): (error: unknown) => void {
  return (error) => {
    const { code, message } = toDoorwardError(error);
    assert.ok(codes.includes(code), `${code}: ${message}`);
  };
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; round < 1600; round++) {
    if (await holds()) return;
    await delay(25);
  }
  assert.fail(`${what} did not happen`);
}

describe("the life of machines in Podman", { skip: skipped, concurrency: false, timeout: 600_000 }, () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab();
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  test("20 machines at once all run, and after their removal nothing is left", async () => {
    const names = Array.from({ length: 20 }, (_, at) => `many-${String(at)}`);
    const machines = await Promise.all(names.map((name) => lab.engine.launch(lab.spec(name, sleep), never)));
    const listed = await lab.engine.list();
    assert.equal(listed.length, 20);
    assert.ok(listed.every(({ state, pid }) => state === "running" && pid > 1));
    assert.deepEqual(new Set(listed.map(({ pid }) => pid)), new Set(machines.map(({ pid }) => pid)));
    await Promise.all(machines.map(({ containerId }) => lab.engine.remove(containerId, 0)));
    assert.deepEqual(await lab.engine.list(), []);
    await until(
      "the end of every conmon",
      () => processesNaming(machines[0]?.containerId ?? "").length === 0,
    );
    for (const { containerId } of machines) assert.deepEqual(processesNaming(containerId), []);
    assert.deepEqual(mountsBelow(join(lab.folders.graphRoot, "overlay-containers")), []);
    assert.deepEqual(mountsBelow(join(lab.folders.graphRoot, "overlay")), []);
  });

  test("a machine's exit code is told once", async () => {
    const { containerId } = await lab.engine.launch(
      lab.spec("seven", ["sh", "-c", "sleep 0.1; exit 7"]),
      never,
    );
    assert.deepEqual(await lab.ended(containerId), { containerId, exitCode: 7, oomKilled: false });
    await lab.engine.remove(containerId, 0);
  });

  test("a machine that used up its memory is told as such", async () => {
    const hog = ["perl", "-e", "$x = 'x' x (1 << 20) x 400; print length $x"];
    const { containerId } = await lab.engine.launch(lab.spec("hog", hog), never);
    const { exitCode, oomKilled } = await lab.ended(containerId);
    assert.deepEqual({ exitCode, oomKilled }, { exitCode: 137, oomKilled: true });
    await lab.engine.remove(containerId, 0);
  });

  test("a machine's own output is kept, the last lines of it", async () => {
    const script = "for i in $(seq 1 50); do echo line $i; done; echo problem >&2; sleep 0.3";
    const { containerId } = await lab.engine.launch(lab.spec("talks", ["sh", "-c", script]), never);
    await lab.ended(containerId);
    const lines = (await lab.engine.logs(containerId, 3)).trim().split("\n");
    assert.equal(lines.length, 3);
    assert.ok((await lab.engine.logs(containerId, 100)).includes("problem"));
    await lab.engine.remove(containerId, 0);
  });

  test("a machine that ignores SIGTERM is gone after its grace", async () => {
    const stubborn = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"];
    const { containerId, pid } = await lab.engine.launch(lab.spec("stubborn", stubborn), never);
    await lab.engine.remove(containerId, 1);
    assert.equal(existsSync(`/proc/${String(pid)}`), false);
    assert.deepEqual(await lab.engine.list(), []);
  });

  test("containers of another installation are never listed", async () => {
    const spec = { ...lab.spec("foreign", sleep), installationId: "i_other" };
    const { containerId } = await lab.engine.launch(spec, never);
    assert.deepEqual(await lab.engine.list(), []);
    await lab.engine.remove(containerId, 0);
  });

  test("machines survive the death of Podman's service, and their ends meanwhile are told", async () => {
    const lives = await lab.engine.launch(lab.spec("lives", sleep), never);
    const dies = await lab.engine.launch(lab.spec("dies", sleep), never);
    const service = lab.engine.servicePid ?? assert.fail("no service");
    process.kill(service, "SIGKILL");
    process.kill(dies.pid, "SIGKILL");
    const listed = await lab.engine.list();
    assert.equal(listed.find(({ containerId }) => containerId === lives.containerId)?.state, "running");
    assert.notEqual(lab.engine.servicePid, service);
    assert.equal((await lab.ended(dies.containerId)).exitCode, 137);
    await lab.engine.measure(lives.containerId, never);
    for (const { containerId } of [lives, dies]) await lab.engine.remove(containerId, 0);
  });

  test("launches go on or fail cleanly while Podman's service is killed again and again", async () => {
    const stop = new AbortController();
    const killer = (async () => {
      while (!stop.signal.aborted) {
        await delay(300 + Math.random() * 1000);
        const pid = lab.engine.servicePid;
        if (pid !== null)
          try {
            process.kill(pid, "SIGKILL");
          } catch {
            /* already gone */
          }
      }
    })();
    const started: string[] = [];
    try {
      for (let round = 0; round < 12; round++) {
        const launch = lab.engine.launch(lab.spec(`storm-${String(round)}`, sleep), never);
        await launch.then(
          ({ containerId }) => started.push(containerId),
          failsWith("LAUNCH_FAILED", "PODMAN_UNREACHABLE"),
        );
      }
    } finally {
      stop.abort();
      await killer;
    }
    const listed = await lab.engine.list();
    assert.deepEqual(listed.map(({ containerId }) => containerId).sort(), [...started].sort());
    for (const containerId of started) await lab.engine.remove(containerId, 0);
    assert.deepEqual(await lab.engine.list(), []);
    assert.deepEqual(mountsBelow(join(lab.folders.graphRoot, "overlay-containers")), []);
    assert.deepEqual(mountsBelow(join(lab.folders.graphRoot, "overlay")), []);
    await until("the end of every conmon", () => processesNaming(`${lab.folders.tmpDir}/exits`).length === 0);
  });

  test("the next engine finds the machines of one that is gone, with its own service", async () => {
    const { containerId, pid } = await lab.engine.launch(lab.spec("adopted", sleep), never);
    const before = lab.engine.servicePid;
    const next = await lab.reopen();
    assert.notEqual(next.servicePid, before);
    assert.equal(existsSync(`/proc/${String(before)}`), false);
    assert.deepEqual(await next.list(), [
      { containerId, machineId: "m_adopted00000", state: "running", pid },
    ]);
    await next.measure(containerId, never);
    process.kill(pid, "SIGKILL");
    assert.equal((await lab.ended(containerId)).exitCode, 137);
    await next.remove(containerId, 0);
  });

  test("an engine whose process was killed leaves its machines, and the next one replaces its service", async () => {
    const root = mkdtempSync("/var/tmp/dwlab-killed-");
    const script = `import { openLab, never } from ${JSON.stringify(new URL("./podman-lab.ts", import.meta.url).href)};
      const lab = await openLab({ root: ${JSON.stringify(root)} });
      const machine = await lab.engine.launch(lab.spec("orphan", ["sleep", "1000"]), never);
      console.log(JSON.stringify([machine.containerId, machine.pid, lab.engine.servicePid]));`;
    const child = spawn(
      process.execPath,
      [...process.execArgv.filter((arg) => !arg.startsWith("--test")), "--input-type=module", "-e", script],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const [containerId, pid, service] = JSON.parse(line.toString()) as [string, number, number];
    child.kill("SIGKILL");
    await once(child, "exit");
    const next = await openLab({ root });
    assert.deepEqual(
      (await next.engine.list()).map((found) => [found.containerId, found.pid, found.state]),
      [[containerId, pid, "running"]],
    );
    assert.notEqual(next.engine.servicePid, service);
    assert.equal(existsSync(`/proc/${String(service)}/exe`), false);
    await next[Symbol.asyncDispose]();
    assert.equal(existsSync(`/proc/${String(pid)}`), false);
    assert.deepEqual(mountsBelow(root), []);
  });

  test("a mount that is swapped during the launch never shows anything else", async (t) => {
    const outside = lab.repo("race-outside");
    writeFileSync(join(outside, "secret"), "outside");
    const repo = lab.repo("race");
    const hooks = join(repo, ".git/hooks");
    mkdirSync(hooks, { recursive: true });
    symlinkSync(outside, join(repo, ".git/other"));
    const mounts = [
      mountOf(repo, "/workspace/repo"),
      mountOf(join(repo, ".git"), "/workspace/repo/.git", { role: "mount-point" }),
      mountOf(hooks, "/workspace/repo/.git/hooks", { access: "ro", role: "protected" }),
    ];
    const script =
      "cat /workspace/repo/.git/hooks/secret > /tmp/seen && touch /workspace/repo/seen; sleep 100";
    // Exchanges the protected folder with a link to the outside, as fast as a machine on the same repo could.
    const swap =
      "my ($a,$b)=@ARGV; while(1){ syscall(316,-100,$a,-100,$b,2); select(undef,undef,undef,0.002) }";
    const swapper = spawn("perl", ["-e", swap, hooks, join(repo, ".git/other")], { stdio: "ignore" });
    const outcomes = new Map<string, number>();
    try {
      for (let round = 0; round < 40; round++) {
        const spec = lab.spec(`race-${String(round)}`, ["sh", "-c", script], { mounts });
        const outcome = await lab.engine.launch(spec, never).then(
          async ({ containerId }) => {
            await delay(30);
            await lab.engine.remove(containerId, 0);
            return "launched";
          },
          (error: unknown) => toDoorwardError(error).code,
        );
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    } finally {
      swapper.kill("SIGKILL");
    }
    t.diagnostic(JSON.stringify([...outcomes]));
    assert.equal(existsSync(join(repo, "seen")), false);
    const known = ["launched", "PATH_CHANGED", "MACHINE_DRIFT", "LAUNCH_FAILED"];
    assert.deepEqual(
      [...outcomes.keys()].filter((outcome) => !known.includes(outcome)),
      [],
    );
    assert.ok((outcomes.get("PATH_CHANGED") ?? 0) + (outcomes.get("MACHINE_DRIFT") ?? 0) > 0);
    assert.deepEqual(await lab.engine.list(), []);
  });
});
