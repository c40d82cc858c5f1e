import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, type DoorwardClient } from "@doorward/client";
import { AgentClient } from "../support/agent-client.ts";
import { approve, CAPABILITIES, openActionLab, pendingOf, type ActionLab } from "../support/action-lab.ts";

const OPERATIONS = [
  "agent-tool.list",
  "agent-tool.read",
  "agent-tool.write",
  "agent-tool.exec",
  "agent-tool.host-action",
];

const AGENTS = `
  - to: "agent:codex:*"
    doors: [agent-tool]
    operations: [${OPERATIONS.join(", ")}, agent-tool.egress]
    capabilities: [${CAPABILITIES.join(", ")}]
    for: 8h
`;

describe("agents' tools act on the host with a confirmation given there alone", { timeout: 600_000 }, () => {
  let actions: ActionLab;
  let operator: DoorwardClient;
  let port: number;
  let count = 0;

  before(async () => {
    actions = await openActionLab();
    actions.repolicy((text) => text.replace(/^grants:$/m, `grants:${AGENTS.trimEnd()}`));
    await actions.lab.up(actions.lab.repo("shop"));
    operator = actions.lab.client();
    port = await actions.lab.tcpPort();
  });
  after(async () => {
    await operator[Symbol.asyncDispose]();
    await actions[Symbol.asyncDispose]();
  });

  const fresh = (root = actions.notes): string => join(root, `file-${(count += 1)}`);
  const write = (path: string, scope = "notes") => ({
    scope,
    operations: [{ type: "writeFile", path, content: "x" }],
    reason: "a test",
  });

  interface Opened extends AsyncDisposable {
    readonly agent: AgentClient;
    readonly holder: DoorwardClient;
    readonly grant: string;
  }

  async function open(
    capabilities: readonly string[] = CAPABILITIES,
    operations = OPERATIONS,
  ): Promise<Opened> {
    const body = { machine: "shop", subject: "agent:codex:1", operations, capabilities, for: "1h" };
    const { token, grant } = await operator.call("grants.create", { body: body as never });
    const holder = connect({ url: `http://127.0.0.1:${String(port)}`, token });
    const agent = await AgentClient.open(holder, "shop");
    return {
      agent,
      holder,
      grant: grant.grantId,
      [Symbol.asyncDispose]: async () => {
        await agent[Symbol.asyncDispose]();
        await holder[Symbol.asyncDispose]();
      },
    };
  }

  const waiting = async (): Promise<string[]> =>
    (await operator.call("approvals.list", {})).approvals.map(({ id }) => id);

  it("with every capability, a write waits for the person on the host, and is done once he agreed", async () => {
    await using opened = await open();
    const path = fresh();
    const answer = await opened.agent.answer("host_change_files", write(path));
    assert.equal(answer["status"], "pending");
    assert.equal(existsSync(path), false);
    const id = String(answer["approval_id"]);
    const { lines } = await pendingOf(operator, id);
    assert.match(lines.join("\n"), new RegExp(path));
    await approve(operator, id);
    const checked = await opened.agent.answer("check_approval", { approval_id: id, wait_seconds: 300 });
    assert.equal(checked["status"], "done");
    assert.equal(readFileSync(path, "utf8"), "x");
  });

  it("what a scope lets be written unasked is asked about at this door", async () => {
    await using opened = await open();
    const path = fresh(actions.free);
    const answer = await opened.agent.answer("host_change_files", write(path, "free"));
    assert.equal(answer["status"], "pending");
    assert.equal(existsSync(path), false);
    await operator.call("approvals.deny", { params: { approval: String(answer["approval_id"]) }, body: {} });
  });

  it("a refusal is final: the handle says so, the same call is not asked again, and nothing is written", async () => {
    await using opened = await open();
    const path = fresh();
    const { approval_id: approval } = await opened.agent.answer("host_change_files", write(path));
    const id = String(approval);
    await operator.call("approvals.deny", { params: { approval: id }, body: { reason: "no" } });
    const checked = await opened.agent.call("check_approval", { approval_id: id, wait_seconds: 300 });
    assert.equal(checked.structuredContent?.["status"], "refused");
    assert.match(await opened.agent.refusal("host_change_files", write(path)), /refused it/);
    assert.deepEqual(await waiting(), []);
    assert.equal(existsSync(path), false);
  });

  it("the agent's own client answers nothing: it can neither see nor decide the question", async () => {
    await using opened = await open();
    const path = fresh();
    const { approval_id: approval } = await opened.agent.answer("host_change_files", write(path));
    const { digest } = await pendingOf(operator, String(approval));
    const given = { params: { approval: String(approval) }, body: { digest } };
    await assert.rejects(opened.holder.call("approvals.approve", given), { code: "OPERATOR_ONLY" });
    await assert.rejects(opened.agent.ask("elicitation/create", { message: "approve" }));
    await operator.call("approvals.deny", { params: { approval: String(approval) }, body: {} });
    assert.equal(existsSync(path), false);
  });

  it("an agent that goes away withdraws its question", async () => {
    const path = fresh();
    const opened = await open();
    await opened.agent.answer("host_change_files", write(path));
    assert.equal((await waiting()).length, 1);
    await opened[Symbol.asyncDispose]();
    await actions.lab.until("it is withdrawn", async () => (await waiting()).length === 0);
    assert.equal(existsSync(path), false);
  });

  it("a grant that is revoked while the operator thinks writes nothing", async () => {
    await using opened = await open();
    const path = fresh();
    await opened.agent.answer("host_change_files", write(path));
    await operator.call("grants.revoke", { params: { grant: opened.grant }, body: { reason: "test" } });
    await actions.lab.until("it is withdrawn", async () => (await waiting()).length === 0);
    assert.equal(existsSync(path), false);
  });

  it("tools are offered by capability, and refused without, whatever their name is called by", async () => {
    await using none = await open([]);
    const names = await none.agent.tools();
    assert.deepEqual(
      names.filter((name) => name.startsWith("host_")),
      [],
    );
    assert.match(await refused(none.agent, "host_change_files", write(fresh())), /does not have it|TOOL/);
    await using files = await open(["system.hosts.write", "system.fs.scope.notes"]);
    const path = fresh(actions.free);
    const answer = await files.agent.call("host_change_files", write(path, "free"));
    assert.match(JSON.stringify(answer), /CAPABILITY_DENIED/);
    assert.equal(existsSync(path), false);
    await using bare = await open(CAPABILITIES, ["agent-tool.list", "agent-tool.read"]);
    assert.deepEqual(
      (await bare.agent.tools()).filter((name) => name.startsWith("host_")),
      [],
    );
  });

  it("a dry run asks nobody and does nothing", async () => {
    await using opened = await open();
    const path = fresh();
    const answer = await opened.agent.answer("host_change_files", { ...write(path), dry_run: true });
    assert.equal(answer["status"], "planned");
    assert.deepEqual(await waiting(), []);
    assert.equal(existsSync(path), false);
  });

  it("a program of the host runs after its confirmation, with its exit code", async () => {
    await using opened = await open();
    const call = {
      scope: "tool",
      command: actions.program,
      args: ["say", "hi"],
      cwd: actions.work,
      reason: "test",
    };
    const { approval_id: approval } = await opened.agent.answer("host_run_command", call);
    await approve(operator, String(approval));
    const checked = await opened.agent.answer("check_approval", { approval_id: approval, wait_seconds: 300 });
    assert.match(JSON.stringify(checked["result"]), /said hi/);
  });

  it("an approval for a time covers exactly the same call", async () => {
    await using opened = await open();
    const path = fresh();
    const { approval_id: approval } = await opened.agent.answer("host_change_files", write(path));
    await approve(operator, String(approval), "10m");
    await opened.agent.answer("check_approval", { approval_id: approval, wait_seconds: 300 });
    const again = await opened.agent.answer("host_change_files", write(path));
    assert.equal(again["status"], "done");
    const other = await opened.agent.answer("host_change_files", write(fresh()));
    assert.equal(other["status"], "pending");
    await operator.call("approvals.deny", { params: { approval: String(other["approval_id"]) }, body: {} });
  });

  it("access to a host of the internet is asked for, and a refusal is final", async () => {
    await using opened = await open(CAPABILITIES, [...OPERATIONS, "agent-tool.egress"]);
    const call = { host: "registry.example.org", reason: "to install" };
    const { approval_id: approval } = await opened.agent.answer("request_egress", call);
    const { lines } = await pendingOf(operator, String(approval));
    assert.match(lines.join("\n"), /registry\.example\.org port 443/);
    await operator.call("approvals.deny", { params: { approval: String(approval) }, body: {} });
    const checked = await opened.agent.call("check_approval", { approval_id: approval, wait_seconds: 300 });
    assert.equal(checked.structuredContent?.["status"], "refused");
    assert.match(await opened.agent.refusal("request_egress", call), /refused/);
    const approved = await opened.agent.answer("request_egress", { ...call, host: "pypi.example.org" });
    await approve(operator, String(approved["approval_id"]));
    const done = await opened.agent.answer("check_approval", {
      approval_id: approved["approval_id"],
      wait_seconds: 300,
    });
    assert.match(JSON.stringify(done["result"]), /may|lets machine/);
  });

  it("revoking a grant kills what runs under it", async () => {
    await using opened = await open();
    const running = opened.agent.request("tools/call", {
      name: "run_command",
      arguments: { command: "trap '' TERM; setsid sleep 3141 & sleep 3141" },
    });
    const alive = async (): Promise<boolean> =>
      (await actions.lab.sh("shop", "pgrep -f '[s]leep 3141' || true")).stdout.trim() !== "";
    await actions.lab.until("it runs", alive);
    await operator.call("grants.revoke", { params: { grant: opened.grant }, body: { reason: "test" } });
    await assert.rejects(running.answer);
    await actions.lab.until("it is gone", async () => !(await alive()));
  });

  async function refused(agent: AgentClient, name: string, given: unknown): Promise<string> {
    return await agent.refusal(name, given).catch((error: unknown) => String(error));
  }
});
