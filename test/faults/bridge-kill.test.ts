import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openLab, type Lab } from "../support/lab.ts";
import { mountsBelow, procFile, processesOf } from "../support/leftovers.ts";

/** How often the bridge is killed in each of the tests: DOORWARD_TEST_KILLS. */
const KILLS = Number(process.env["DOORWARD_TEST_KILLS"] ?? 10);

describe(`kill -9 of the bridge, ${String(KILLS)} times at different moments`, () => {
  let lab: Lab;
  let repo: string;

  before(async () => {
    lab = await openLab();
    repo = lab.repo("shop");
    await lab.up(repo);
  });
  beforeEach(async () => {
    await start();
  });
  after(async () => await lab[Symbol.asyncDispose]());

  /** Starts the bridge as any command does; answers how long it took until machines can be used. */
  async function start(): Promise<number> {
    const began = performance.now();
    assert.equal((await lab.run(["ls"])).code, 0);
    await using client = lab.client();
    const ready = async (): Promise<boolean> =>
      await client.call("bridge.ready", {}).then(
        () => true,
        () => false,
      );
    await lab.until("the bridge is ready", ready);
    return performance.now() - began;
  }

  /** Everything that runs or is mounted belongs to a machine that `ls` shows as running. */
  async function nothingUnowned(): Promise<void> {
    const running = (await lab.machines()).filter(({ state }) => state === "running");
    const ids = running.map(({ id }) => id).sort();
    const states = (await lab.machines()).map(({ state }) => state);
    assert.ok(
      states.every((state) => state === "running" || state === "stopped"),
      states.join(),
    );
    await lab.until("containers are those of running machines", async () => {
      const found = await lab.containers();
      return found.length === ids.length && found.every((line) => line.endsWith(" running"));
    });
    const conmons = (): string[] =>
      processesOf(lab.root)
        .filter(({ command }) => command.startsWith("/usr/bin/conmon"))
        .map(({ command }) => / -n doorward-\w+-(m_[a-z0-9]+)/.exec(command)?.[1] ?? "?");
    await lab.until(`one conmon for each of ${ids.join()}`, () => conmons().sort().join() === ids.join());
    const inside = (): string[] =>
      lab.inside().map(({ pid, command }) => `${pid} (parent ${parentOf(pid)}): ${command}`);
    const inits = (): number[] =>
      lab
        .inside()
        .map(({ pid }) => pid)
        .filter(isFirst);
    await lab
      .until("one first process for each machine", () => inits().length === ids.length)
      .catch((error: unknown) => assert.fail(`${String(error)}, but ${inside().join("; ")}`));
    const merged = mountsBelow(lab.root).filter((target) => target.endsWith("/merged"));
    assert.equal(merged.length, ids.length, merged.join());
    const strange = mountsBelow(lab.root).filter(
      (target) =>
        !/\/storage\/overlay(?:$|\/)|\/userdata\/shm$|\/podman\/storage\/overlay-containers\//.test(target),
    );
    assert.deepEqual(strange, []);
    assert.deepEqual(readdirSync(join(lab.home, "run", "machines")).sort(), ids);
    const homes = readdirSync(join(lab.home, "state", "homes")).sort();
    assert.deepEqual(homes, (await lab.machines()).map(({ id }) => id).sort());
  }

  it("during attach: terminals come back, nothing lost, nothing doubled", { timeout: 600_000 }, async (t) => {
    const program = "i=0; while :; do echo line-$i; i=$((i+1)); sleep 0.004; done";
    const gaps: string[] = [];
    const times: number[] = [];
    const grants: string[] = [];
    let text = "";
    let back = 0;
    await using client = lab.client();
    const session = await client.attachTerminal("shop", {
      argv: ["sh", "-c", program],
      data: (bytes) => void (text += Buffer.from(bytes).toString("latin1")),
      gap: (from, to) => gaps.push(`${from}-${to}`),
      connection: (state) => (back += state === "back" ? 1 : 0),
      reconnectMs: 600_000,
    });
    const lines = (): number[] => [...text.matchAll(/line-(\d+)\r\n/g)].map((found) => Number(found[1]));
    for (let round = 0; round < KILLS; round += 1) {
      grants.push(
        (
          await lab.client().call("grants.create", {
            body: { machine: "shop", subject: "agent:test:k", operations: ["terminal.observe"], for: "1h" },
          })
        ).grant.grantId,
      );
      await delay((round * 137) % 400);
      const opening = client
        .attachTerminal("shop", { data: () => undefined, reconnectMs: 0 })
        .catch(() => undefined);
      await delay(round * 3);
      await lab.killBridge();
      await opening;
      times.push(await start());
      const seen = lines().length;
      const returned = await lab.until("output goes on", () => lines().length > seen);
      times[round] = (times[round] ?? 0) + returned;
    }
    session.detach();
    const got = lines();
    assert.deepEqual(gaps, []);
    assert.deepEqual(
      got,
      got.map((_, at) => at),
      "every line once, in order",
    );
    assert.ok(back >= KILLS);
    const known = (await lab.client().call("grants.list", {})).grants.map(({ grant }) => grant.grantId);
    assert.deepEqual(
      grants.filter((id) => !known.includes(id)),
      [],
      "every grant that was minted is there",
    );
    t.diagnostic(
      `${got.length} lines; from starting the bridge until output: ${times.map((ms) => Math.round(ms)).join(", ")} ms`,
    );
    await nothingUnowned();
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });

  it(
    "beyond the ring there is an explicit gap, and then the newest output",
    { timeout: 600_000 },
    async (t) => {
      const gaps: [number, number][] = [];
      let length = 0;
      let last = "";
      await using client = lab.client();
      const session = await client.attachTerminal("shop", {
        argv: ["sh", "-c", "sleep 1; seq 1 2000000; echo the-end; sleep 60"],
        data: (bytes) => {
          length += bytes.length;
          last = (last + Buffer.from(bytes).toString("latin1")).slice(-200);
        },
        gap: (from, to) => gaps.push([from, to]),
        reconnectMs: 600_000,
      });
      await lab.killBridge();
      await delay(4000);
      await start();
      await lab.until("the end is seen", () => last.includes("the-end"));
      const lost = gaps.reduce((sum, [from, to]) => sum + to - from, 0);
      assert.equal(session.offset, length + lost, "what is missing is said, to the byte");
      assert.ok(gaps.length <= 1);
      t.diagnostic(`${length} bytes seen, ${lost} said to be lost`);
      session.detach();
    },
  );

  it(
    "during up: what was acknowledged is there, and nothing is left that nobody owns",
    { timeout: 600_000 },
    async (t) => {
      const acknowledged: string[] = [];
      const outcomes: string[] = [];
      for (let round = 0; round < KILLS; round += 1) {
        const moment = Math.round((round * 700) / KILLS);
        const pid = await lab.bridgePid();
        const launching = lab
          .client()
          .call("machines.up", { body: { repos: [{ path: repo }], fresh: true } })
          .then(
            ({ machine }) => machine.id,
            () => null,
          );
        await delay(moment);
        await lab.killBridge(pid);
        const id = await launching;
        if (id !== null) acknowledged.push(id);
        outcomes.push(`${moment}: ${id === null ? "cut" : "up"}`);
        await start();
        await nothingUnowned();
        const machines = await lab.machines();
        for (const id of acknowledged)
          assert.equal(machines.find((machine) => machine.id === id)?.state, "running", id);
        for (const { id, name } of machines) {
          if (name === "shop") continue;
          assert.equal((await lab.sh(id, "echo answers")).stdout, "answers\n");
          assert.equal((await lab.run(["rm", id])).code, 0);
        }
        acknowledged.length = 0;
      }
      t.diagnostic(`moment of the kill in ms and what the command said: ${outcomes.join(", ")}`);
      assert.equal((await lab.run(["evidence", "verify"])).code, 0);
      assert.equal((await lab.sh("shop", "echo still")).stdout, "still\n");
    },
  );

  it(
    "during stop, rm and grant revoke: each is done or not done, never half",
    { timeout: 600_000 },
    async () => {
      for (const [round, command] of ["stop", "rm", "revoke"].entries()) {
        const name = await lab.up(repo, "--new");
        const grant = await lab.client().call("grants.create", {
          body: { machine: name, subject: "agent:test:k", operations: ["terminal.exec"], for: "1h" },
        });
        const { grantId } = grant.grant;
        const doing = command === "revoke" ? lab.run(["grant", "revoke", grantId]) : lab.run([command, name]);
        await delay(330 + round * 60);
        await lab.killBridge();
        const ran = await doing;
        await start();
        await nothingUnowned();
        const machine = (await lab.machines()).find((each) => each.name === name);
        if (ran.code === 0 && command === "rm") assert.equal(machine, undefined);
        if (ran.code === 0 && command === "stop") assert.equal(machine?.state, "stopped");
        const all = (await lab.client().call("grants.list", { query: { all: "true" } })).grants;
        const found = all.find((each) => each.grant.grantId === grantId);
        if (ran.code === 0 && command === "revoke") assert.equal(found?.status, "revoked");
        if (machine !== undefined) assert.equal((await lab.run(["rm", name])).code, 0);
      }
      assert.equal((await lab.run(["evidence", "verify"])).code, 0);
    },
  );

  it("two bridges never share a state folder", async () => {
    const ran = await lab.run(["serve"], { timeoutMs: 60_000 });
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, /another bridge|already|holds/i);
  });
});

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(procFile(pid, "status"))?.[1]);
}

/** Whether a process is the first of its pid namespace. */
function isFirst(pid: number): boolean {
  return /^NSpid:.*\s1$/m.test(procFile(pid, "status"));
}
