import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";
import { StdioAgent } from "../support/stdio-agent.ts";

const policy = `grants:
  - to: "agent:codex:*"
    doors: [agent-tool]
    operations: [agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec, agent-tool.egress]
    for: 8h
`;

describe("an agent's client on the streams of doorward mcp", { timeout: 600_000 }, () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab({ policy });
    await lab.up(lab.repo("shop", { hello: "hello from the repo\n" }), "--name", "shop");
  });
  after(() => lab[Symbol.asyncDispose]());

  const live = async (): Promise<string[]> => {
    await using client = lab.client();
    const { grants } = await client.call("grants.list", {});
    return grants
      .filter(({ grant }) => grant.subject.startsWith("agent:codex:"))
      .map(({ grant }) => grant.grantId);
  };
  const run = (agent: StdioAgent, command: string) => agent.call("run_command", { command });
  const text = (answer: { result?: { content?: readonly { text?: string }[] } }): string =>
    (answer.result?.content ?? []).map((part) => part.text ?? "").join("\n");

  it("works in the machine under a grant that ends with it", async (t) => {
    const began = performance.now();
    await using agent = new StdioAgent(lab, ["shop", "--as", "codex"]);
    await agent.begin();
    t.diagnostic(`from start to the first answer: ${String(Math.round(performance.now() - began))} ms`);
    assert.match(text(await run(agent, "id -un; cat hello")), /agent\nhello from the repo/);
    assert.equal((await live()).length, 1);
    agent.child.stdin?.end();
    assert.equal(await agent.ended, 0);
    assert.deepEqual(await live(), []);
    const [record] = await lab.records("tool-call");
    assert.match(JSON.stringify(record), /agent:codex:/);
    const [left] = await lab.records("session-close");
    assert.match(left?.summary ?? "", /^agent:codex:\S+ left agent-tool of shop after [^(]+$/);
  });

  it("is renewed in mid-session", async () => {
    await using agent = new StdioAgent(lab, ["shop", "--as", "codex", "--for", "8s"]);
    await agent.begin();
    let said = "";
    let grants: readonly (string | undefined)[] = [];
    // On a host that stands still for half of a grant's time nobody renews it, and another takes its place.
    for (let round = 0; round < 5 && grants.length !== 1; round += 1) {
      const [grant] = await live();
      said = text(await run(agent, "sleep 12; echo done"));
      grants = [...new Set([grant, ...(await live())])];
    }
    assert.match(said, /done/);
    assert.equal(grants.length, 1);
    assert.match(text(await run(agent, "echo again")), /again/);
  });

  it("is cut when its grant is revoked, and gets no other", async () => {
    await using agent = new StdioAgent(lab, ["shop", "--as", "codex"]);
    await agent.begin();
    const slow = agent.send("tools/call", { name: "run_command", arguments: { command: "sleep 8100" } });
    await lab.until(
      "it sleeps",
      async () => (await lab.sh("shop", "pgrep -fc '^sleep 8100'; true")).stdout === "1\n",
    );
    const [grant] = await live();
    await using operator = lab.client();
    await operator.call("grants.revoke", { params: { grant: grant ?? "" }, body: {} });
    assert.equal((await agent.answer(slow)).error?.data?.code, "GRANT_REVOKED");
    assert.equal((await run(agent, "true")).error?.data?.code, "GRANT_REVOKED");
    assert.deepEqual(await live(), []);
    await lab.until(
      "nothing sleeps",
      async () => (await lab.sh("shop", "pgrep -fc '^sleep 8100'; true")).stdout === "0\n",
    );
    agent.child.stdin?.end();
    assert.equal(await agent.ended, 3);
  });

  it("takes its session up again after the bridge was killed; what was under way is answered", async (t) => {
    await using agent = new StdioAgent(lab, ["shop", "--as", "codex"]);
    await agent.begin();
    const slow = agent.send("tools/call", { name: "run_command", arguments: { command: "sleep 8200" } });
    await lab.until(
      "it sleeps",
      async () => (await lab.sh("shop", "pgrep -fc '^sleep 8200'; true")).stdout === "1\n",
    );
    await lab.killBridge();
    assert.match((await agent.answer(slow)).error?.message ?? "", /whether it had its effect is not known/);
    const began = performance.now();
    const next = run(agent, "echo alive");
    await lab.run(["ls"]);
    assert.match(text(await next), /alive/);
    t.diagnostic(
      `from the lost bridge to the next answer: ${String(Math.round(performance.now() - began))} ms`,
    );
    assert.equal(agent.stderr, "");
  });

  it("says how a stopped machine is started, and works once it is", async () => {
    await using agent = new StdioAgent(lab, ["shop", "--as", "codex"]);
    await agent.begin();
    await lab.run(["stop", "shop"]);
    await lab.until("it says so", async () => {
      const { error } = await run(agent, "true");
      return error?.data?.code === "MACHINE_NOT_RUNNING" && error.data.hint === "doorward start shop";
    });
    assert.equal((await lab.run(["start", "shop"])).code, 0);
    assert.match(text(await run(agent, "echo back")), /back/);
  });

  it("leaves nothing that works when it is killed", async () => {
    await using agent = new StdioAgent(lab, ["shop", "--as", "codex", "--for", "15s"]);
    await agent.begin();
    const slow = { name: "run_command", arguments: { command: "sleep 8300" } };
    agent.send("tools/call", slow);
    await lab.until(
      "it sleeps",
      async () => (await lab.sh("shop", "pgrep -fc '^sleep 8300'; true")).stdout === "1\n",
    );
    agent.child.kill("SIGKILL");
    await lab.until(
      "nothing sleeps",
      async () => (await lab.sh("shop", "pgrep -fc '^sleep 8300'; true")).stdout === "0\n",
    );
    await lab.until("no grant is left", async () => (await live()).length === 0);
  });

  it("launches the folder's machine with --up", async () => {
    const repo = lab.repo("other");
    await using agent = new StdioAgent(lab, ["--up", "--as", "codex"], {}, repo);
    await agent.begin();
    assert.match(text(await run(agent, "pwd")), /\/workspace\/other/);
  });

  it("is refused what the policy does not grant, with the rule that it takes", async () => {
    await using agent = new StdioAgent(lab, ["shop", "--as", "hermes"]);
    const { error } = await agent.begin();
    assert.equal(error?.data?.code, "GRANT_TOO_WIDE");
    assert.match(error.data.hint ?? "", /doorward connect hermes shop --allow/);
  });
});
