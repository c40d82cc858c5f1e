import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DenialError, DoorwardError, type HostActionResponse } from "@doorward/contracts";
import * as z from "zod";
import { createToolCaller, type CallOutcome } from "../../doors/src/agent-tool/tool-caller.ts";
import { defineTool, type Tool } from "../../doors/src/agent-tool/tool.ts";
import { APPROVAL_TOOLS } from "../../doors/src/agent-tool/tools/approval-tools.ts";
import { COMMAND_TOOLS } from "../../doors/src/agent-tool/tools/command-tools.ts";
import { readFile } from "../../doors/src/agent-tool/tools/read-file.ts";
import { readResource } from "../../doors/src/agent-tool/mcp/resources.ts";
import { HOST_TOOLS } from "../../doors/src/agent-tool/tools/host-tools.ts";
import { agentLab, type AgentLab, type AgentLabOptions } from "./agent-tool-lab.ts";

const nowhere = { dial: () => Promise.reject(new Error("no machine here")) };

/** A tool of the table that does what the test says, and counts. */
function fixture(
  act: (input: { path: string; content?: string | undefined }, signal: AbortSignal) => Promise<string>,
): { tool: Tool; ran: () => number } {
  let ran = 0;
  const tool = defineTool({
    name: "write_file",
    title: "Fixture",
    description: "A fixture",
    input: z.strictObject({ path: z.string().min(1), content: z.string().optional() }),
    output: z.strictObject({ done: z.string() }),
    hints: { idempotent: false, destructive: true },
    call: async (input, { signal }) => {
      ran += 1;
      const done = await act(input, signal);
      return { structured: { done }, text: done, target: input.path };
    },
  });
  return { tool, ran: () => ran };
}

const open = (tools: readonly Tool[], more: Partial<AgentLabOptions> = {}): AgentLab =>
  agentLab({ tools: [...tools, ...APPROVAL_TOOLS], link: nowhere, workdir: "/workspace/shop", ...more });

function failure(outcome: CallOutcome): Extract<CallOutcome, { kind: "failed" }> {
  if (outcome.kind === "failed") return outcome;
  assert.fail("it was answered");
}

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
  assert.equal(record.result, '{"done":"ok"}');
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

const asking = { spec: { approvalRequired: ["write_file" as const] } };

test("a tool that needs approval answers at once that it waits, and has done nothing", async () => {
  const { tool, ran } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  const [listed] = lab.caller.list(lab.session);
  const answer = await lab.answer("write_file", { path: "a", content: "one\ntwo\u001b[31m" });
  assert.equal(answer["status"], "pending");
  assert.equal(listed?.output.safeParse(answer).success, true);
  assert.equal(ran(), 0);
  assert.match(
    lab.asked[0]?.request.summary ?? "",
    /write_file:\npath: "a"\ncontent:\n {2}\| one\n {2}\| two/,
  );
  assert.equal(lab.calls()[0]?.outcome, "pending");
  assert.equal(lab.calls()[0]?.approval, answer["approval_id"]);
});

test("an approved call runs exactly as it was asked, once, and its result is fetched", async () => {
  const seen: unknown[] = [];
  const { tool, ran } = fixture((input) => (seen.push(input), Promise.resolve("written")));
  await using lab = open([tool], asking);
  const given = { path: "a", content: "x" };
  const { approval_id: id } = await lab.answer("write_file", given);
  given.content = "something else";
  assert.equal((await lab.answer("check_approval", { approval_id: id }))["status"], "pending");
  const waiting = lab.answer("check_approval", { approval_id: id, wait_seconds: 10 });
  lab.asked[0]?.approve();
  const done = await waiting;
  assert.equal(done["status"], "done");
  assert.deepEqual(done["result"], { done: "written" });
  assert.deepEqual(seen, [{ path: "a", content: "x" }]);
  await lab.answer("check_approval", { approval_id: id });
  assert.equal(ran(), 1);
  const calls = lab.calls().filter(({ tool: name }) => name === "write_file");
  assert.deepEqual(
    calls.map(({ outcome }) => outcome),
    ["pending", "completed"],
  );
  assert.equal(calls[1]?.approval, id);
});

test("a refusal is final for the call, and the same call is not asked about again", async () => {
  const { tool, ran } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  const { approval_id: id } = await lab.answer("write_file", { path: "a" });
  lab.asked[0]?.refuse();
  const checked = await lab.answer("check_approval", { approval_id: id, wait_seconds: 10 });
  assert.equal(checked["status"], "refused");
  assert.equal(failure(await lab.call("write_file", { path: "a" })).code, "APPROVAL_DENIED");
  assert.equal((await lab.answer("check_approval", { approval_id: id }))["status"], "refused");
  assert.equal(lab.asked.length, 1);
  assert.equal((await lab.answer("write_file", { path: "b" }))["status"], "pending");
  assert.equal(ran(), 0);
});

test("a refusal holds for every session of that kind of client: one that starts anew does not ask again", async () => {
  const { tool, ran } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  const { approval_id: id } = await lab.answer("write_file", { path: "a" });
  lab.asked[0]?.refuse();
  await lab.answer("check_approval", { approval_id: id, wait_seconds: 10 });
  const session = (subject: string) => open([tool], { ...asking, caller: lab.caller, subject });
  await using again = session("agent:codex:s2");
  const refused = failure(await again.call("write_file", { path: "./a" }));
  assert.equal(refused.code, "APPROVAL_DENIED");
  assert.match(refused.message, /the same was asked a moment ago: operator:ann refused it/);
  await using other = session("agent:claude-code:s1");
  assert.equal((await other.answer("write_file", { path: "a" }))["status"], "pending");
  assert.deepEqual([again.asked.length, other.asked.length, ran()], [0, 1, 0]);
});

test("a question that was withdrawn is no refusal: it may be asked again", async () => {
  const { tool } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  const { approval_id: id } = await lab.answer("write_file", { path: "a" });
  lab.asked[0]?.refuse("approvals.withdrawn");
  await lab.answer("check_approval", { approval_id: id, wait_seconds: 10 });
  assert.equal((await lab.answer("write_file", { path: "a" }))["status"], "pending");
  assert.equal(lab.asked.length, 2);
});

test("the same call while it waits is the same question, whatever the order of its arguments", async () => {
  const { tool } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  const first = await lab.answer("write_file", { path: "a", content: "x" });
  const again = await lab.answer("write_file", { content: "x", path: "a" });
  assert.equal(again["approval_id"], first["approval_id"]);
  assert.equal(lab.asked.length, 1);
});

test("the same call made many times at once is one question", async () => {
  const { tool, ran } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  const calls = Array.from({ length: 30 }, () => lab.answer("write_file", { path: "a" }));
  const ids = new Set((await Promise.all(calls)).map((answer) => answer["approval_id"]));
  assert.equal(ids.size, 1);
  assert.equal(lab.asked.length, 1);
  lab.asked[0]?.approve();
  await lab.answer("check_approval", { approval_id: [...ids][0], wait_seconds: 10 });
  assert.equal(ran(), 1);
});

test("calls made at once are not asked about beyond what a session may have waiting", async () => {
  const { tool } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  const calls = Array.from({ length: 30 }, (_, at) => lab.call("write_file", { path: String(at) }));
  const refused = (await Promise.all(calls)).filter(({ kind }) => kind === "failed");
  assert.deepEqual([lab.asked.length, refused.length], [20, 10]);
});

test("where commands are asked about, so is what is typed to one that runs", async () => {
  const command = { command_id: "c1", text: "rm -rf /\n" };
  await using lab = open(COMMAND_TOOLS, { spec: { approvalRequired: ["run_command"] } });
  assert.equal((await lab.answer("send_input", command))["status"], "pending");
  assert.match(lab.asked[0]?.request.summary ?? "", /rm -rf/);
  assert.equal(lab.asked[0]?.request.shape, null);
});

test("where readings are asked about, a file is not read whole as a resource", async () => {
  await using lab = open([readFile], { spec: { approvalRequired: ["read_file"] } });
  const client = { session: lab.session, client: null };
  const { signal } = new AbortController();
  await assert.rejects(
    readResource("doorward://lab/etc/passwd", lab.caller, client, signal),
    /approves each reading/,
  );
  assert.deepEqual([lab.asked.length, lab.records.length], [0, 0]);
});

test("an approval of another session, or of none, tells nothing", async () => {
  const { tool } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  await using other = open([tool], asking);
  const { approval_id: id } = await lab.answer("write_file", { path: "a" });
  assert.equal(failure(await other.call("check_approval", { approval_id: id })).code, "APPROVAL_NOT_FOUND");
});

test("a grant that lost the operation while the operator thought does not run the call", async () => {
  const { tool, ran } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  const { approval_id: id } = await lab.answer("write_file", { path: "a" });
  lab.checks = (operation) => {
    if (operation === "agent-tool.write")
      throw new DenialError({
        code: "OPERATION_NOT_GRANTED",
        rule: "grant.operations",
        message: "not any more",
      });
  };
  lab.asked[0]?.approve();
  const checked = await lab.answer("check_approval", { approval_id: id, wait_seconds: 10 });
  assert.equal(checked["status"], "failed");
  assert.equal(ran(), 0);
});

test("what waits when the session ends is withdrawn, and never runs", async () => {
  const { tool, ran } = fixture(() => Promise.resolve("written"));
  const lab = open([tool], asking);
  await lab.answer("write_file", { path: "a" });
  assert.equal(lab.session.busy, true);
  await lab[Symbol.asyncDispose]();
  assert.equal(lab.asked[0]?.withdrawn, true);
  lab.asked[0].approve();
  await sleep(20);
  assert.equal(ran(), 0);
});

test("programs are approved once alone, writes for exactly the same arguments", async () => {
  const { tool } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  await lab.answer("write_file", { path: "a" });
  assert.deepEqual(lab.asked[0]?.request.shape, { of: { tool: "write_file", arguments: { path: "a" } } });
});

test("a session asks about 20 calls at most at once", async () => {
  const { tool } = fixture(() => Promise.resolve("written"));
  await using lab = open([tool], asking);
  for (let at = 0; at < 20; at += 1) await lab.answer("write_file", { path: String(at) });
  assert.equal(failure(await lab.call("write_file", { path: "more" })).code, "RATE_LIMITED");
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
  const checked = await lab.answer("check_approval", { approval_id: "a_hostaction1", wait_seconds: 10 });
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
  const checked = await lab.answer("check_approval", { approval_id: id, wait_seconds: 10 });
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
