import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { ActionReport, EvidencePredicate } from "@doorward/contracts";
import {
  approve,
  ask,
  openActionLab,
  recorded,
  workflowRequest,
  writeRequest,
  type ActionLab,
  type Asked,
} from "../support/action-lab.ts";

type HostActionRecord = EvidencePredicate<"host-action">;
const FILES = 100;
const BYTES = 40_000;

describe("kill -9 of the bridge in the middle of a host action", { timeout: 600_000 }, () => {
  let actions: ActionLab;

  before(async () => {
    actions = await openActionLab();
  });
  after(async () => await actions[Symbol.asyncDispose]());

  async function start(): Promise<void> {
    assert.equal((await actions.lab.run(["action", "ls"])).code, 0);
  }

  const idOf = ({ events }: Asked): string => {
    const accepted = events.find((event) => event.kind === "accepted");
    assert.ok(accepted);
    return accepted.id;
  };
  const report = async (id: string): Promise<ActionReport> => await actions.lab.json(["action", "show", id]);

  async function lastRecord(): Promise<HostActionRecord | undefined> {
    await using operator = actions.lab.client();
    return (await recorded<HostActionRecord>(operator, "host-action", 1))[0];
  }

  it("a workflow: its programs end, the report says how far it came, and nothing goes on", async () => {
    await start();
    const operator = actions.lab.client();
    const asked = ask(operator, workflowRequest(actions, ["touch", "one"], ["sleep"], ["touch", "three"]));
    asked.done.catch(() => undefined);
    await approve(operator, await asked.waiting);
    const pidFile = join(actions.work, "sleep.pid");
    await actions.lab.until(
      "the second step runs",
      () => existsSync(pidFile) && workingIn(actions.work).length >= 3,
    );
    await actions.lab.killBridge();
    await assert.rejects(asked.done);
    await operator[Symbol.asyncDispose]();
    await actions.lab.until("its programs are dead", () => workingIn(actions.work).length === 0);

    await start();
    const id = idOf(asked);
    const { state, outcome, workflow } = await report(id);
    assert.deepEqual([state, outcome], ["interrupted", "interrupted"]);
    assert.deepEqual(
      workflow?.steps.map(({ status }) => status),
      ["completed", "interrupted", "skipped"],
    );
    const shown = await actions.lab.run(["action", "show", id]);
    assert.match(
      shown.stdout,
      /1\. Step 1: completed \(exit 0\)\n {2}2\. Step 2: interrupted\n {2}3\. Step 3: skipped/,
    );
    const record = await lastRecord();
    assert.deepEqual([record?.event, record?.outcome], ["ended", "interrupted"]);
    assert.equal(record?.workflow?.status, "interrupted");
    assert.ok(existsSync(join(actions.work, "one")));
    assert.equal(existsSync(join(actions.work, "three")), false);
    assert.deepEqual(workingIn(actions.work), []);
  });

  it("a question: it is withdrawn, and nothing is done", async () => {
    await start();
    const operator = actions.lab.client();
    const path = join(actions.notes, "never");
    const asked = ask(operator, writeRequest(path, "x"));
    asked.done.catch(() => undefined);
    const approval = await asked.waiting;
    await actions.lab.killBridge();
    await operator[Symbol.asyncDispose]();
    await start();
    assert.equal((await actions.lab.run(["action", "approve", approval, "--yes"])).code, 4);
    const { state, outcome, approval: under, applied } = await report(idOf(asked));
    assert.deepEqual([state, outcome, under, applied], ["interrupted", "interrupted", null, 0]);
    assert.equal(existsSync(path), false);
  });

  /** Has many files written, and kills the bridge once number `at` is; answers what the files hold then. */
  async function killedAt(at: number, round: number) {
    await start();
    const folder = join(actions.free, `at-${at}-${round}`);
    mkdirSync(folder);
    const paths = Array.from({ length: FILES }, (_, n) => join(folder, `f${String(n).padStart(3, "0")}`));
    for (const path of paths) writeFileSync(path, text("old"));
    const operations = paths.map((path) => ({ type: "writeFile", path, content: text("new") }));
    const operator = actions.lab.client();
    const asked = ask(operator, { action: "system.fs.mutate", payload: { scope: "free", operations } });
    const answered = new AbortController();
    void asked.done.catch(() => undefined).finally(() => answered.abort());
    const pid = await actions.lab.bridgePid();
    slowDown(pid);
    while (!answered.signal.aborted && readFileSync(paths[at] ?? "", "utf8").startsWith("old")) await turn();
    await actions.lab.killBridge(pid);
    await operator[Symbol.asyncDispose]();
    const whole = paths.map((path) => readFileSync(path, "utf8"));
    const changed = whole.filter((content) => content === text("new")).length;
    return { asked, changed, folder, paths, whole };
  }

  for (const at of [0, 30, 90]) {
    it(`${FILES} writes, killed at number ${at + 1}: each file is the old or the new one, and the count is told`, async (t) => {
      let killed = await killedAt(at, 0);
      // One that came too late met nothing in the middle.
      for (let round = 1; at < 50 && killed.changed === FILES; round += 1) killed = await killedAt(at, round);
      const { asked, changed, folder, paths, whole } = killed;
      assert.ok(whole.every((content) => content === text("old") || content === text("new")));
      assert.ok(changed > at);
      assert.ok(
        whole.slice(0, changed).every((content) => content === text("new")),
        "in the order of the plan",
      );

      await start();
      assert.equal(
        whole.join(""),
        paths.map((path) => readFileSync(path, "utf8")).join(""),
        "nothing runs on",
      );
      assert.deepEqual(readdirSync(folder).length, FILES, "nothing half-made is left");
      const { state, outcome, applied, operationCount, id } = await report(idOf(asked));
      t.diagnostic(`${changed} were written, ${String(applied)} are reported`);
      if (changed < FILES)
        assert.deepEqual([state, outcome, operationCount], ["interrupted", "interrupted", FILES]);
      // One that was put in place, but not yet written down, counts as the one it was cut in.
      if (state === "interrupted" && applied !== null)
        assert.ok([changed, changed - 1].includes(applied), `${applied} of ${changed}`);
      if (changed < FILES) assert.notEqual(applied, null);
      const shown = await actions.lab.run(["action", "show", id]);
      if (applied !== null)
        assert.match(shown.stdout, new RegExp(`${applied} of ${FILES} operations were done`));
      assert.equal((await lastRecord())?.outcome, outcome);
      rmSync(folder, { recursive: true });
    });
  }

  it("leaves evidence that verifies", async () => {
    await start();
    const verified = await actions.lab.run(["evidence", "verify"]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  });
});

function text(word: string): string {
  return `${word} `.repeat(BYTES / 4);
}

/** On a busy host it is the bridge that waits for its turn, not the one who kills it. */
function slowDown(pid: number): void {
  for (const task of readdirSync(`/proc/${String(pid)}/task`))
    try {
      setPriority(Number(task), 19);
    } catch {
      // A thread that ended meanwhile.
    }
}

/** Processes whose working folder this is. */
function workingIn(folder: string): string[] {
  return readdirSync("/proc").filter((id) => {
    try {
      return /^\d+$/.test(id) && readlinkSync(`/proc/${id}/cwd`) === folder;
    } catch {
      return false;
    }
  });
}
