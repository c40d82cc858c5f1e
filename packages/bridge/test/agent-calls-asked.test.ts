import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DenialError } from "@doorward/contracts";
import { COMMAND_TOOLS } from "../../doors/src/agent-tool/tools/command-tools.ts";
import { readFile } from "../../doors/src/agent-tool/tools/read-file.ts";
import { readResource } from "../../doors/src/agent-tool/mcp/resources.ts";
import { failure, fixture, open } from "./agent-calls-lab.ts";

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
  const waiting = lab.answer("check_approval", { approval_id: id, wait_seconds: 300 });
  lab.asked[0]?.approve();
  const done = await waiting;
  assert.equal(done["status"], "done");
  assert.deepEqual(done["result"], { machine: "lab", done: "written" });
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
  const checked = await lab.answer("check_approval", { approval_id: id, wait_seconds: 300 });
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
  await lab.answer("check_approval", { approval_id: id, wait_seconds: 300 });
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
  await lab.answer("check_approval", { approval_id: id, wait_seconds: 300 });
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
  await lab.answer("check_approval", { approval_id: [...ids][0], wait_seconds: 300 });
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
  const checked = await lab.answer("check_approval", { approval_id: id, wait_seconds: 300 });
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
