import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DenialError, DoorwardError, type HostActionResponse } from "@doorward/contracts";
import { createToolCaller } from "../../doors/src/agent-tool/tool-caller.ts";
import { HOST_TOOLS } from "../../doors/src/agent-tool/tools/host-tools.ts";
import { failure, fixture, open } from "./agent-calls-lab.ts";
import type { AgentLabOptions } from "./agent-tool-lab.ts";

test("a call is recorded with its argument, result, client, time and target before it answers", async () => {
  let durable = false;
  const { tool } = fixture(() => Promise.resolve("ok"));
  await using lab = open([tool], {
    record: async () => {
      await sleep(50);
      durable = true;
    },
  });
  await lab.answer("write_file", { path: "/workspace/shop/a" });
  assert.equal(durable, true);
  const record = lab.calls()[0]!;
  assert.equal(record.outcome, "completed");
  assert.equal(record.client, "lab-client");
  assert.equal(record.target, "/workspace/shop/a");
  assert.deepEqual(record.arguments, { path: "/workspace/shop/a" });
  assert.equal(record.result, '{"machine":"lab","done":"ok"}');
});

test("what can't be recorded is not answered", async () => {
  const { tool } = fixture(() => Promise.resolve("ok"));
  const record = () =>
    Promise.reject(new DoorwardError({ code: "EVIDENCE_UNWRITABLE", message: "disk full" }));
  await using lab = open([tool], { record });
  assert.equal(failure(await lab.call("write_file", { path: "a" })).code, "EVIDENCE_UNWRITABLE");
});

test("a tool that is none, or that the session does not have, is refused by name", async () => {
  const { tool, ran } = fixture(() => Promise.resolve("ok"));
  await using lab = open([tool], { operations: ["agent-tool.list", "agent-tool.read"] });
  assert.equal(failure(await lab.call("rm_rf", {})).code, "TOOL_NOT_FOUND");
  assert.equal(failure(await lab.call("write_file", { path: "a" })).code, "OPERATION_NOT_GRANTED");
  assert.equal(ran(), 0);
  assert.deepEqual(
    lab.caller.list(lab.session).map(({ name }) => name),
    ["check_approval"],
  );
  assert.equal(lab.calls()[0]?.outcome, "refused");
});

test("the grant is checked at the moment of each call", async () => {
  const { tool, ran } = fixture(() => Promise.resolve("ok"));
  await using lab = open([tool]);
  await lab.answer("write_file", { path: "a" });
  lab.checks = () => {
    throw new DenialError({ code: "GRANT_EXPIRED", rule: "grant.expiry", message: "it expired" });
  };
  const refused = failure(await lab.call("write_file", { path: "a" }));
  assert.equal(refused.code, "GRANT_EXPIRED");
  assert.match(refused.hint ?? "", /ask the operator/);
  assert.equal(ran(), 1);
});

test("arguments that are wrong are named for the model, and nothing runs", async () => {
  const { tool, ran } = fixture(() => Promise.resolve("ok"));
  await using lab = open([tool]);
  const message = async (given: unknown, name = "write_file") => failure(await lab.call(name, given)).message;
  assert.match(await message({}), /argument "path" is missing/);
  assert.match(await message({}, "check_approval"), /"approval_id" is missing \([^)]+\)/);
  assert.match(
    await message({ approval_id: "a_nope" }, "check_approval"),
    /"approval_id" has not the right form \([^)]+\)/,
  );
  assert.match(await message({ path: "a", force: true }), /it has no argument "force"/);
  assert.match(await message({ path: 5 }), /argument "path": .*string/);
  assert.match(await message("text"), /its arguments are not an object/);
  assert.equal(ran(), 0);
});

test("a fault of a tool is an answer in words, with its code in the record", async () => {
  const { tool } = fixture(() => Promise.reject(new Error("boom")));
  await using lab = open([tool]);
  assert.equal(failure(await lab.call("write_file", { path: "a" })).code, "INTERNAL");
  assert.deepEqual([lab.calls()[0]?.outcome, lab.calls()[0]?.code], ["failed", "INTERNAL"]);
});

test("at most 32 calls of a session run at once, and one that ended makes room", async () => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const { tool } = fixture(async () => (await held, "ok"));
  await using lab = open([tool]);
  let refused = 0;
  const calls = Array.from({ length: 40 }, async (_, at) => {
    const outcome = await lab.call("write_file", { path: String(at) });
    if (outcome.kind === "failed") refused += 1;
    if (refused === 8) release();
    return outcome;
  });
  const outcomes = await Promise.all(calls);
  assert.equal(outcomes.filter(({ kind }) => kind === "answered").length, 32);
  assert.equal(outcomes.filter((one) => one.kind === "failed" && one.code === "RATE_LIMITED").length, 8);
  assert.equal((await lab.call("write_file", { path: "x" })).kind, "answered");
});

test("calls of one machine are bounded over all its sessions", async () => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const { tool } = fixture(async () => (await held, "ok"));
  const caller = createToolCaller([tool], { perSession: 2, perMachine: 3 });
  await using one = open([], { caller });
  await using two = open([], { caller });
  const outcomes = await Promise.all(
    [one, one, two, two].map(async (lab, at) => {
      const outcome = await lab.call("write_file", { path: String(at) });
      if (outcome.kind === "failed") release();
      return outcome;
    }),
  );
  assert.equal(outcomes.filter(({ kind }) => kind === "failed").length, 1);
});

const done = (result: unknown): HostActionResponse => ({ ok: true, correlationId: "c", result });

test("tools of the host are there for grants with their capability alone, and not where the door denies them", () => {
  const names = (more: Partial<AgentLabOptions>): string[] => {
    const lab = open(HOST_TOOLS, more);
    return lab.caller
      .list(lab.session)
      .map(({ name }) => name)
      .filter((name) => name.startsWith("host_"));
  };
  assert.deepEqual(names({}), []);
  assert.deepEqual(names({ capabilities: ["system.clipboard.read"] }), ["host_clipboard_read"]);
  assert.deepEqual(names({ capabilities: ["system.process.exec"] }), []);
  const process = ["system.process.exec", "system.process.scope.git"];
  assert.deepEqual(names({ capabilities: process }), ["host_run_command", "host_run_workflow"]);
  assert.deepEqual(names({ capabilities: process, spec: { hostMutationPolicy: "deny" } }), []);
});

test("a host action that must be confirmed answers at once, and check_approval has its result", async () => {
  let finish: (response: HostActionResponse) => void = () => undefined;
  const hostAction: AgentLabOptions["hostAction"] = (_request, _signal, onEvent) => {
    onEvent?.({ kind: "waiting", approval: "a_hostaction1", seconds: 45 } as never);
    return new Promise((resolve) => (finish = resolve));
  };
  await using lab = open(HOST_TOOLS, { capabilities: ["system.clipboard.write"], hostAction });
  const answer = await lab.answer("host_clipboard_write", { text: "x", reason: "to paste" });
  assert.deepEqual([answer["status"], answer["approval_id"]], ["pending", "a_hostaction1"]);
  finish(done({ bytes: 1 }));
  const checked = await lab.answer("check_approval", { approval_id: "a_hostaction1", wait_seconds: 300 });
  assert.equal(checked["status"], "done");
  assert.deepEqual((checked["result"] as { status: string }).status, "done");
});

test("a host action that the operator refused is refused for good, one that failed says why", async () => {
  const answers: HostActionResponse[] = [
    { ok: false, correlationId: "c", code: "CANCELLED", error: 'Cannot do "x" (y): operator:ann refused it' },
    { ok: false, correlationId: "c", code: "SCOPE_VIOLATION", error: "outside", details: { scope: "git" } },
  ];
  const hostAction: AgentLabOptions["hostAction"] = (_request, _signal, onEvent) => {
    const answer = answers.shift() ?? done(null);
    if (!answer.ok && answer.code === "CANCELLED")
      onEvent?.({ kind: "waiting", approval: "a_hostaction2", seconds: 45 } as never);
    return sleep(10, answer);
  };
  await using lab = open(HOST_TOOLS, { capabilities: ["system.clipboard.write"], hostAction });
  const { approval_id: id } = await lab.answer("host_clipboard_write", { text: "x", reason: "r" });
  const checked = await lab.answer("check_approval", { approval_id: id, wait_seconds: 300 });
  assert.equal(checked["status"], "refused");
  assert.equal(
    failure(await lab.call("host_clipboard_write", { text: "x", reason: "r" })).code,
    "APPROVAL_DENIED",
  );
  const failed = await lab.answer("host_clipboard_write", { text: "y", reason: "r" });
  assert.deepEqual([failed["status"], failed["code"]], ["failed", "SCOPE_VIOLATION"]);
});

test("a door that lets agents plan alone turns every host action into a dry run", async () => {
  const asked: unknown[] = [];
  const hostAction: AgentLabOptions["hostAction"] = (request) => (
    asked.push(request),
    Promise.resolve(done({}))
  );
  await using lab = open(HOST_TOOLS, {
    capabilities: ["system.clipboard.write"],
    hostAction,
    spec: { hostMutationPolicy: "dry-run-only" },
  });
  const answer = await lab.answer("host_clipboard_write", { text: "x", reason: "r" });
  assert.equal(answer["status"], "planned");
  assert.equal((asked[0] as { payload: { dryRun: boolean } }).payload.dryRun, true);
});
