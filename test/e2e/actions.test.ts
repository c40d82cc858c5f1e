import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createBackendReqOver, type DoorwardClient } from "@doorward/client";
import { requestPrivilegedAction, unwrapPrivilegedActionResponse } from "@doorward/client/host-actions";
import type { ActionEvent, EvidencePredicate, WorkflowResult } from "@doorward/contracts";
import {
  approve,
  ask,
  codeOf,
  openActionLab,
  recorded,
  workflowRequest,
  writeRequest,
  type ActionLab,
} from "../support/action-lab.ts";
import { spawnDoorward } from "../support/command.ts";

type HostActionRecord = EvidencePredicate<"host-action">;

describe("host actions of a running bridge", { timeout: 600_000 }, () => {
  let actions: ActionLab;
  let operator: DoorwardClient;

  before(async () => {
    actions = await openActionLab();
    assert.equal((await actions.lab.run(["action", "ls"])).code, 0);
    operator = actions.lab.client();
  });
  after(async () => {
    await operator[Symbol.asyncDispose]();
    await actions[Symbol.asyncDispose]();
  });

  const waiting = async (): Promise<string[]> =>
    (await operator.call("approvals.list", {})).approvals.map(({ id }) => id);

  it("a long workflow tells each step as it begins and ends, before the answer", async () => {
    const words = Array.from({ length: 25 }, (_, at) => ["say", `n${at}`]);
    const request = workflowRequest(actions, ...words);
    const asked = ask(operator, { correlationId: "long", request });
    await approve(operator, await asked.waiting);
    const response = await asked.done;
    assert.ok(response.ok, JSON.stringify(response));
    const { status, summary, steps } = response.result as WorkflowResult;
    assert.equal(status, "completed");
    assert.deepEqual(summary, { totalSteps: 25, completedSteps: 25, failedSteps: 0, skippedSteps: 0 });
    assert.deepEqual(
      steps.map(({ correlationId }) => correlationId),
      words.map((_, at) => `long:step:${at + 1}:s${at + 1}`),
    );
    assert.deepEqual(
      asked.events.slice(0, 3).map(({ kind }) => kind),
      ["accepted", "waiting", "running"],
    );
    const told = asked.events.slice(3).map((event) => {
      assert.ok(event.kind === "step" && event.total === 25);
      return `${event.index} ${event.step.status}`;
    });
    assert.deepEqual(
      told,
      words.flatMap((_, at) => [`${at} running`, `${at} completed`]),
    );
  });

  it("progress comes while it runs, not at its end", async () => {
    const cut = new AbortController();
    const asked = ask(operator, workflowRequest(actions, ["touch", "early"], ["sleep"]), cut.signal);
    await approve(operator, await asked.waiting);
    await actions.lab.until("the second step is told of", () => asked.events.some(isRunning(1)));
    assert.ok(existsSync(join(actions.work, "early")));
    cut.abort();
    await assert.rejects(asked.done);
    await actions.lab.until("its programs are dead", () => workingIn(actions.work).length === 0);
  });

  it("Ctrl-C of `action run` ends the workflow: its programs are dead and the record says cancelled", async () => {
    const file = join(actions.lab.root, "workflow.json");
    const request = workflowRequest(actions, ["touch", "first"], ["sleep"], ["touch", "last"]);
    writeFileSync(file, JSON.stringify({ correlationId: "ctrl-c", request }));
    const child = spawnDoorward(["action", "run", file], actions.lab.env);
    let told = "";
    child.stderr?.on("data", (chunk: Buffer) => (told += chunk.toString()));
    await actions.lab.until("it waits", async () => (await waiting()).length > 0);
    const [id = ""] = await waiting();
    await approve(operator, id);
    await actions.lab.until("three processes run", () => workingIn(actions.work).length >= 3);
    child.kill("SIGINT");
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    assert.equal(code, 130, told);
    await actions.lab.until("its programs are dead", () => workingIn(actions.work).length === 0);
    const ended = async (): Promise<HostActionRecord | undefined> =>
      (await recorded<HostActionRecord>(operator, "host-action")).find(
        ({ correlationId, event }) => correlationId === "ctrl-c" && event === "ended",
      );
    await actions.lab.until("it is recorded", async () => (await ended()) !== undefined);
    const record = await ended();
    assert.deepEqual([record?.outcome, record?.code], ["cancelled", "STEP_CANCELLED"]);
    assert.equal(existsSync(join(actions.work, "last")), false);
    const { actions: reports } = await operator.call("actions.list", {});
    assert.deepEqual(
      reports[0]?.workflow?.steps.map(({ status }) => status),
      ["completed", "failed", "skipped"],
    );
  });

  for (const [key, what, code, told] of [
    ["\u0003", "Ctrl-C while it asks withdraws the question", 130, /The request was stopped/],
    ["\u0004", "Ctrl-D while it asks is a no", 3, /operator:\w+ refused it/],
  ] as const) {
    it(`${what}, at once, and nothing is done`, async () => {
      const path = join(actions.notes, "never");
      const file = join(actions.lab.root, "write.json");
      writeFileSync(file, JSON.stringify(writeRequest(path, "x")));
      const screen = actions.lab.screen(["action", "run", file]);
      await screen.see("[y/N]");
      screen.type(key);
      assert.equal(await screen.ended, code, screen.text);
      assert.match(screen.text, told);
      await actions.lab.until("nothing waits", async () => (await waiting()).length === 0);
      assert.equal(existsSync(path), false);
    });
  }

  it("a client of the published SDK works unchanged over a backend of ours", async () => {
    const path = join(actions.notes, "sdk");
    const onEvent = (event: ActionEvent): void => {
      if (event.kind === "waiting") void approve(operator, event.approval);
    };
    const page = { createBackendReq: createBackendReqOver(operator, { onEvent }) };
    Reflect.set(globalThis, "window", page);
    try {
      const response = await requestPrivilegedAction(writeRequest(path, "from a page") as never);
      const result = unwrapPrivilegedActionResponse(response) as { dryRun: boolean };
      assert.equal(result.dryRun, false);
      assert.equal(readFileSync(path, "utf8"), "from a page");
      const bare = await page.createBackendReq("__host.privilegedAction", writeRequest("/etc/x", "x"));
      assert.equal(codeOf(bare as never), "SCOPE_VIOLATION");
    } finally {
      Reflect.deleteProperty(globalThis, "window");
    }
  });

  it("another scope is another policy hash, in the policy and in the records after it", async () => {
    const { hash } = await operator.call("policy.show", {});
    const dry = { body: writeRequest(join(actions.notes, "a"), "x", { dryRun: true }) };
    await operator.call("actions.run", dry);
    const [before] = await recorded<HostActionRecord>(operator, "host-action", 1);
    assert.equal(before?.policyHash, hash);
    actions.repolicy((text) => text.replace("timeoutSeconds: 120", "timeoutSeconds: 60"));
    await actions.lab.until(
      "the policy is read",
      async () => (await operator.call("policy.show", {})).hash !== hash,
    );
    await operator.call("actions.run", dry);
    const [after] = await recorded<HostActionRecord>(operator, "host-action", 1);
    assert.notEqual(after?.policyHash, hash);
  });
});

function isRunning(at: number): (event: ActionEvent) => boolean {
  return (event) => event.kind === "step" && event.index === at && event.step.status === "running";
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
