import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { DoorwardError } from "@doorward/contracts";
import { lockHolder, lockState } from "../src/state/index.ts";

const PROGRAM = fileURLToPath(new URL("./state-lock-child.ts", import.meta.url));

interface Contender {
  readonly process: ChildProcess;
  readonly said: string;
}

function folders(t: TestContext): { state: string; runtime: string } {
  const dir = mkdtempSync(join(tmpdir(), "doorward-lock-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const made = { state: join(dir, "state"), runtime: join(dir, "run") };
  for (const path of Object.values(made)) mkdirSync(path);
  return made;
}

async function contender(t: TestContext, state: string, runtime: string): Promise<Contender> {
  const flags = ["--conditions=source", "--import", "tsx", PROGRAM, state, runtime];
  const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  return { process: child, said: said.toString().trim() };
}

function running(error: unknown): boolean {
  assert.ok(error instanceof DoorwardError, String(error));
  assert.equal(error.code, "BRIDGE_RUNNING");
  return true;
}

test("of four processes that race for the lock one gets it, the others are told its pid; kill -9 frees it", async (t) => {
  const { state, runtime } = folders(t);
  const all = await Promise.all([1, 2, 3, 4].map(() => contender(t, state, runtime)));
  const [holder, ...more] = all.filter(({ said }) => said === "held");
  assert.ok(holder !== undefined && more.length === 0, JSON.stringify(all.map(({ said }) => said)));
  for (const { said } of all)
    assert.ok(["held", `BRIDGE_RUNNING ${holder.process.pid}`].includes(said), said);
  assert.equal(lockHolder(state), holder.process.pid);
  await assert.rejects(lockState({ state, runtime }), running);
  holder.process.kill("SIGKILL");
  await once(holder.process, "close");
  assert.equal(lockHolder(state), undefined);
  const lock = await lockState({ state, runtime });
  assert.equal(lockHolder(state), process.pid);
  lock[Symbol.dispose]();
});

test("the same process can't take the lock twice, and disposing frees it once and for all", async (t) => {
  const { state, runtime } = folders(t);
  const lock = await lockState({ state, runtime });
  await assert.rejects(lockState({ state, runtime }), running);
  await assert.rejects(lockState({ state, runtime }), running);
  assert.equal((await contender(t, state, runtime)).said, `BRIDGE_RUNNING ${process.pid}`);
  lock[Symbol.dispose]();
  lock[Symbol.dispose]();
  (await lockState({ state, runtime }))[Symbol.dispose]();
});

test("two state folders can't share a runtime folder", async (t) => {
  const one = folders(t);
  const two = folders(t);
  using _held = await lockState(one);
  await assert.rejects(lockState({ state: two.state, runtime: one.runtime }), running);
  using _other = await lockState(two);
});

test("child processes of the holder don't keep the lock after it", async (t) => {
  const { state, runtime } = folders(t);
  const lock = await lockState({ state, runtime });
  const child = spawn("sleep", ["30"]);
  t.after(() => child.kill("SIGKILL"));
  lock[Symbol.dispose]();
  (await lockState({ state, runtime }))[Symbol.dispose]();
});

test("the lock files are for their owner alone", async (t) => {
  const { state, runtime } = folders(t);
  using _lock = await lockState({ state, runtime });
  for (const file of ["bridge.lock", "bridge.pid"])
    assert.equal(statSync(join(state, file)).mode & 0o777, 0o600);
});

test("a state folder that is not there is refused, and leaves nothing held", async (t) => {
  const { state, runtime } = folders(t);
  await assert.rejects(lockState({ state, runtime: join(runtime, "absent") }), /Cannot lock/);
  (await lockState({ state, runtime }))[Symbol.dispose]();
});
