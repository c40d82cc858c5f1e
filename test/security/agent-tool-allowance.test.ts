import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "@doorward/client";
import type { DoorwardError } from "@doorward/contracts";
import { agentToolDocument, writeDocument } from "../../packages/bridge/test/interfaces-lab.ts";
import { AgentClient } from "../support/agent-client.ts";
import { openLab, type Lab } from "../support/lab.ts";

const FILES = ["agent-tool.list", "agent-tool.read", "agent-tool.write"];
const ALL = [...FILES, "agent-tool.exec"];

const POLICY = `grants:
  - { to: "agent:codex:*", doors: [agent-tool], operations: [${ALL.join(", ")}], for: 8h }
  - { to: "agent:hermes:*", doors: [agent-tool], operations: [${ALL.join(", ")}], for: 8h }
`;

describe("what an agent may call, on a real machine", { timeout: 600_000 }, () => {
  let lab: Lab;
  let repo: string;
  const open: AsyncDisposable[] = [];

  before(async () => {
    lab = await openLab({ policy: POLICY });
    repo = lab.repo("shop", { "README.md": "hello\n", "src/a.js": "1\n", "secret/key.txt": "canary\n" });
    await lab.up(repo, "--name", "shop");
  });
  after(async () => {
    for (const one of open.reverse()) await one[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });

  async function mint(body: object): Promise<{ readonly id: string; readonly token: string }> {
    await using client = lab.client();
    const ask = { machine: "shop", subject: "agent:codex:1", operations: ALL, for: "1h", ...body };
    const { grant, token } = await client.call("grants.create", { body: ask as never });
    return { id: grant.grantId, token };
  }

  async function agent(body: object): Promise<AgentClient> {
    const client = connect({
      url: `http://127.0.0.1:${String(await lab.tcpPort())}`,
      token: (await mint(body)).token,
    });
    const opened = await AgentClient.open(client, "shop");
    open.push(client, opened);
    return opened;
  }

  /** Puts an agent-tool door of the default profile in force, or takes it away. */
  async function door(over: Readonly<Record<string, unknown>>): Promise<void> {
    writeDocument(join(lab.home, "config"), "tools.json", agentToolDocument(over));
    await using client = lab.client();
    await client.call("policy.reload", {});
  }

  it("a grant that names tools lists and calls those alone", async () => {
    const codex = await agent({ operations: ["agent-tool.list", "agent-tool.read"], tools: ["read_file"] });
    assert.deepEqual((await codex.tools()).sort(), ["check_approval", "read_file"]);
    assert.equal((await codex.answer("read_file", { path: "README.md" }))["content"], "hello\n");
    assert.match(await codex.refusal("search_files", { pattern: "canary" }), /grant names read_file alone/);
    assert.match(await codex.refusal("run_command", { command: "cat README.md" }), /agent-tool\.exec/);
    assert.match(await codex.refusal("write_file", { path: "x", content: "" }), /agent-tool\.write/);
  });

  it("a grant on narrower paths reads and writes there and nowhere else", async () => {
    const paths = [join(repo, "src")];
    await assert.rejects(mint({ paths }), (error: DoorwardError) => error.code === "GRANT_UNENFORCEABLE");
    const codex = await agent({ operations: FILES, paths });
    assert.equal((await codex.answer("read_file", { path: "/workspace/shop/src/a.js" }))["content"], "1\n");
    await codex.answer("write_file", { path: "/workspace/shop/src/b.js", content: "2\n" });
    const outside = [
      "/workspace/shop/README.md",
      "/workspace/shop/secret/key.txt",
      "/workspace/shop/src/../secret/key.txt",
      "../secret/key.txt",
      "../../../etc/passwd",
      "/etc/passwd",
      "/proc/self/root/workspace/shop/secret/key.txt",
    ];
    for (const path of outside) {
      const text = await codex.refusal("read_file", { path });
      assert.notEqual(text, "allowed", path);
      assert.doesNotMatch(text, /canary|root:/, path);
      assert.notEqual(await codex.refusal("write_file", { path, content: "x" }), "allowed", path);
    }
    writeFileSync(join(repo, "secret", "key.txt"), "canary of now\n");
    for (const [tool, given] of [
      ["search_files", { pattern: "canary" }],
      ["find_files", { glob: "**/*.txt" }],
    ] as const) {
      const { isError, ...answer } = await codex.call(tool, given);
      assert.notEqual(isError, true, `${tool}: ${JSON.stringify(answer)}`);
      assert.doesNotMatch(JSON.stringify(answer), /canary of|key\.txt/, tool);
    }
    for (const tool of ["git_status", "git_diff"])
      assert.match(await codex.refusal(tool, {}), /covers only a part of the repository/, tool);
  });

  it("an allowance that is made narrower holds from the next call on, in sessions that are open", async () => {
    const [codex, hermes] = [await agent({}), await agent({ subject: "agent:hermes:1" })];
    assert.ok((await codex.tools()).includes("run_command"));
    await door({ toolAllowances: [{ toolId: "codex", tools: ["read_file"] }] });
    assert.match(await codex.refusal("run_command", { command: "true" }), /"codex" may call read_file alone/);
    assert.deepEqual((await codex.tools()).sort(), ["check_approval", "read_file"]);
    assert.equal((await codex.answer("read_file", { path: "README.md" }))["content"], "hello\n");
    assert.equal((await hermes.answer("run_command", { command: "true" }))["exit_code"], 0);
    await door({});
    assert.equal((await codex.answer("run_command", { command: "true" }))["exit_code"], 0);
  });

  it("what a client says of itself gives it nothing", async () => {
    await door({ toolIds: ["hermes"] });
    const refused = (error: DoorwardError): boolean => error.code === "GRANT_TOO_WIDE";
    await assert.rejects(mint({}), refused);
    const hermes = await agent({ subject: "agent:hermes:1" });
    assert.ok(
      (await hermes.tools()).length > 5,
      "its subject says what it is, though it calls itself otherwise",
    );
    await door({});
  });

  it("an agent whose kind is not listed any more is cut, and one without a registry grant too", async () => {
    for (const over of [
      { toolIds: ["hermes"] },
      { registryGrantRefs: [{ toolId: "hermes", grantRef: "grant://example/hermes" }] },
    ]) {
      const [codex, hermes] = [await agent({}), await agent({ subject: "agent:hermes:1" })];
      await door(over);
      await assert.rejects(codex.call("read_file", { path: "README.md" }), /revoked|agent-tool\./);
      assert.equal((await hermes.answer("read_file", { path: "README.md" }))["content"], "hello\n");
      await door({});
    }
    const calls = await lab.records("tool-call");
    assert.ok(calls.some(({ summary }) => summary.includes("hermes")));
  });

  it("an operation that the door stops offering revokes the grants that hold it", async () => {
    const [reader, runner] = [await agent({ operations: FILES }), await agent({})];
    await door({ allowedOperations: FILES });
    await assert.rejects(runner.call("run_command", { command: "true" }), /revoked/);
    assert.equal((await reader.answer("read_file", { path: "README.md" }))["content"], "hello\n");
    await door({});
  });
});
