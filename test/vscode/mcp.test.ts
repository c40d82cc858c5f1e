import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { EvidencePredicate } from "@doorward/contracts";
import { openLab, type Lab } from "../support/lab.ts";
import { pids, procFile } from "../support/leftovers.ts";
import { Editor, editorMissing, packExtension } from "./editor.ts";
import { McpUser } from "./mcp-user.ts";
import { Probe, probeFolder } from "./probe-client.ts";

const OPERATIONS = "agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec, agent-tool.egress";
const policy = `grants:
  - { to: "agent:*", doors: [agent-tool], operations: [${OPERATIONS}], for: 8h }
`;

/** What VS Code puts before the names of our tools: "mcp", and how the server of a machine calls itself. */
const OURS = "mcp_machine_shop_";

/** Those of the operations that a client gets where nothing else is said. */
const TOOLS = 16;

/** Each test goes on where the one before it left VS Code. */
describe("VS Code on exactly the file that connect wrote", { skip: editorMissing, timeout: 600_000 }, () => {
  let lab: Lab;
  let repo: string;
  let probe: Probe;
  let user: McpUser;
  const opened: AsyncDisposable[] = [];

  before(async () => {
    lab = await openLab({ policy });
    opened.push(lab);
    repo = lab.repo("shop", { hello: "hello from the repo\n" });
    await lab.up(repo, "--name", "shop");
    await connect("--write");
    probe = new Probe(lab.root);
    const vsix = await packExtension(lab.root, probeFolder);
    const settings = { "chat.disableAIFeatures": false };
    const editor = await Editor.open(
      lab.root,
      vsix,
      { ...lab.env, ...probe.env },
      { project: repo, settings },
    );
    opened.push(editor);
    user = new McpUser(editor.page);
  });
  // In reverse, and also what a failed set-up had opened by then.
  after(async () => {
    for (const each of opened.reverse()) await each[Symbol.asyncDispose]();
  });

  async function connect(...more: readonly string[]): Promise<void> {
    const args = ["connect", "vscode", "shop", "--scope", "project", ...more];
    const ran = await lab.run(args, { cwd: repo });
    assert.equal(ran.code, 0, ran.stderr);
  }

  const toolsAre = (count: number): Promise<number> =>
    lab.until(`${String(count)} tools in VS Code`, async () => (await probe.tools(OURS)).length === count);
  const call = (tool: string, input: object): Promise<string> => probe.call(OURS + tool, input);

  /** Starts it, and waits until a session of its own is there and what it has to offer. */
  async function start(action = "Start Server"): Promise<void> {
    const { length } = await lab.records("session-open");
    await user.act("doorward-shop", action);
    await lab.until("a session", async () => (await lab.records("session-open")).length > length);
    await toolsAre(TOOLS);
  }

  /** Processes that VS Code started by the entry. */
  const shims = (): readonly number[] =>
    pids()
      .filter((pid) => procFile(pid, "cmdline").includes("\0mcp\0shop\0"))
      .filter((pid) => procFile(pid, "environ").includes(`DOORWARD_HOME=${lab.home}`));

  /** Calls of tools that there were, newest first; what VS Code reads to show links in their results is none. */
  async function calls(): Promise<readonly EvidencePredicate<"tool-call">[]> {
    const records = await lab.records("tool-call");
    await using operator = lab.client();
    const shown = records.map(({ index }) => operator.call("evidence.show", { params: { index } }));
    return (await Promise.all(shown))
      .map(({ statement }) => (statement as { predicate: EvidencePredicate<"tool-call"> }).predicate)
      .filter(({ tool }) => tool !== "resources/read");
  }

  it("starts nothing of the file by itself, neither in a folder that is not trusted nor in one that is", async () => {
    await user.trustFolder();
    await user.enableAgent();
    await lab.until("VS Code's agent runs", () => probe.agentRuns());
    assert.match(await user.servers(), /doorward-shop[^]*Stopped/);
    assert.deepEqual(await probe.tools(OURS), []);
    assert.deepEqual(await lab.records("session-open"), []);
  });

  it("lists the tools of the door once its user starts the server, with what their calls take", async () => {
    await start();
    const tools = await probe.tools(OURS);
    const [run] = tools.filter(({ name }) => name.endsWith("_run_command"));
    assert.ok(Object.keys(run?.inputSchema?.properties ?? {}).includes("command"));
    assert.ok(tools.every(({ description }) => description !== ""));
    assert.ok(!tools.some(({ name }) => name.includes("host_")), "nothing of the host is offered");
  });

  it("reads in the machine without a question, and the record says which client it was", async () => {
    assert.match(await call("read_file", { path: "hello" }), /hello from the repo/);
    const [record] = await calls();
    assert.equal(record?.outcome, "completed");
    assert.equal(record.tool, "read_file");
    assert.match(record.client ?? "", /^(code-server|Visual Studio Code)/);
    assert.equal(record.transport, "stdio");
    assert.match(record.subject, /^agent:local-shell:/);
  });

  it("runs a command in the machine when its user says yes, and not when he does not", async () => {
    const refused = call("run_command", { command: "touch refused" }).catch((error: unknown) => error);
    assert.match(await user.answer("Cancel"), /Runs a shell command line in the machine/);
    assert.ok((await refused) instanceof Error);
    const running = call("run_command", { command: "hostname; touch allowed" });
    await user.answer("Yes");
    assert.match(await running, /"text":"shop\\n"/);
    assert.deepEqual([existsSync(join(repo, "refused")), existsSync(join(repo, "allowed"))], [false, true]);
    const [record, before] = await calls();
    assert.deepEqual(
      [record?.tool, record?.outcome, before?.tool],
      ["run_command", "completed", "read_file"],
    );
  });

  it("lets its own agent, with a model of its user's, read in the machine", async () => {
    const { length } = await calls();
    await user.say(`call ${OURS}read_file {"path":"hello"}`);
    await user.reads(/It said:[^]*hello from the repo/);
    const [made, ...others] = await calls();
    assert.deepEqual([made?.tool, made?.outcome, others.length], ["read_file", "completed", length]);
  });

  it("is told that the machine is stopped, with the command that starts it, and works on after it", async () => {
    const { length } = await calls();
    assert.equal((await lab.run(["stop", "shop"])).code, 0);
    await assert.rejects(
      call("read_file", { path: "hello" }),
      /"shop": it is not running \(doorward start shop\)/,
    );
    assert.equal((await lab.run(["start", "shop"])).code, 0);
    assert.match(await call("read_file", { path: "hello" }), /hello from the repo/);
    assert.equal((await calls()).length, length + 1);
  });

  it("is told that its grant was revoked, and nothing is called; only a new start gets another", async () => {
    const [latest] = await calls();
    const { length } = await calls();
    assert.equal((await lab.run(["grant", "revoke", latest?.grant ?? ""])).code, 0);
    await user.say(`call ${OURS}list_directory {"path":"/etc"}`);
    await user.reads(/It said:[^]*the grant, or one it was made from, was revoked/);
    for (const tool of ["read_file", "list_directory"])
      await assert.rejects(call(tool, { path: "hello" }), /the grant, or one it was made from, was revoked/);
    assert.equal((await calls()).length, length);
    await start("Restart Server");
    assert.match(await call("read_file", { path: "hello" }), /hello from the repo/);
    assert.notEqual((await calls())[0]?.grant, latest?.grant);
  });

  it("is told that the machine is gone, and nothing is called", async () => {
    const { length } = await calls();
    assert.equal((await lab.run(["rm", "shop", "--force"])).code, 0);
    await assert.rejects(call("read_file", { path: "hello" }), /"shop"/);
    assert.equal((await calls()).length, length);
  });

  it("forgets the server and ends it when it is taken back, also without the machine", async () => {
    await connect("--remove");
    await toolsAre(0);
    assert.doesNotMatch(await user.servers(), /doorward/);
    assert.ok(!existsSync(join(repo, ".vscode", "mcp.json")));
    await lab.until("its process has ended", () => shims().length === 0);
  });
});
