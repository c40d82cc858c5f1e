import assert from "node:assert/strict";
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, type DoorwardClient } from "@doorward/client";
import { AgentClient } from "../support/agent-client.ts";
import { StdioAgent } from "../support/stdio-agent.ts";
import { needsRoot, openLab, REPO_OWNER, type Lab } from "../support/lab.ts";

const OPERATIONS = ["agent-tool.list", "agent-tool.read", "agent-tool.write", "agent-tool.exec"];

const POLICY = `profiles:
  default:
    doors:
      agent-tool:
        approvalRequired: [run_command, write_file]
grants:
  - to: "agent:codex:*"
    doors: [agent-tool]
    operations: [${OPERATIONS.join(", ")}]
    for: 8h
`;

describe("calls that wait for the operator, decided on the command line", { timeout: 600_000 }, () => {
  let lab: Lab;
  let repo: string;
  let operator: DoorwardClient;
  let agent: AgentClient;
  let holder: DoorwardClient;
  let grant: string;

  before(async () => {
    lab = await openLab({ policy: POLICY });
    repo = lab.repo("shop");
    await lab.json(["up", repo, "--name", "shop"], { env: withDesktop(lab.root) });
    operator = lab.client();
    const minted = await lab.grant("shop", OPERATIONS, "1h", "agent:codex:1");
    grant = minted.id;
    holder = connect({ url: `http://127.0.0.1:${String(await lab.tcpPort())}`, token: minted.token });
    agent = await AgentClient.open(holder, "shop", "codex");
  });
  after(async () => {
    await agent[Symbol.asyncDispose]();
    await holder[Symbol.asyncDispose]();
    await operator[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });

  it("a desktop notification tells that something waits, and the commands that decide; it decides nothing itself", async () => {
    const asked = agent.answer("run_command", { command: "echo <b>notified</b>" });
    const { approval_id: id } = await asked;
    const told = (): string =>
      existsSync(join(lab.root, "told")) ? readFileSync(join(lab.root, "told"), "utf8") : "";
    await lab.until("it is told", () => told().includes(`doorward action approve ${String(id)}`));
    assert.match(told(), /^Doorward: .*run_command/m);
    assert.equal((await agent.answer("check_approval", { approval_id: id }))["status"], "pending");
    assert.equal((await lab.run(["action", "deny", String(id)])).code, 0);
  });

  it("a write is shown as what it changes, and is done once the operator agreed", async () => {
    const call = { path: "README.md", content: "hello\nand more\n" };
    const { status, approval_id: id } = await agent.answer("write_file", call);
    assert.equal(status, "pending");
    const shown = await lab.run(["action", "ls"]);
    assert.match(shown.stdout, /write_file/);
    assert.match(shown.stdout, /\+and more/);
    assert.equal(readFileSync(join(repo, "README.md"), "utf8"), "hello\n");
    assert.equal((await lab.run(["action", "approve", String(id), "--yes"])).code, 0);
    const checked = await agent.answer("check_approval", { approval_id: id, wait_seconds: 300 });
    assert.equal(checked["status"], "done");
    assert.equal(readFileSync(join(repo, "README.md"), "utf8"), call.content);
  });

  it("a command line is shown with its escapes visible, and can't be approved for a time", async () => {
    const command = "echo ran >> ran.txt; printf 'hidden\u001b[2K\u202e'";
    const { approval_id: id } = await agent.answer("run_command", { command });
    const shown = await lab.run(["action", "ls"]);
    assert.match(shown.stdout, /echo ran >> ran\.txt/);
    assert.doesNotMatch(shown.stdout, /\u202e/);
    assert.notEqual((await lab.run(["action", "approve", String(id), "--yes", "--for", "10m"])).code, 0);
    assert.equal((await lab.run(["action", "approve", String(id), "--yes"])).code, 0);
    const checked = await agent.answer("check_approval", { approval_id: id, wait_seconds: 300 });
    assert.equal((checked["result"] as { exit_code: number }).exit_code, 0);
    await agent.answer("check_approval", { approval_id: id });
    assert.equal(readFileSync(join(repo, "ran.txt"), "utf8"), "ran\n");
  });

  it("a write that was approved does not touch a file that changed meanwhile", async () => {
    const call = { path: "README.md", content: "approved\n" };
    const { approval_id: id } = await agent.answer("write_file", call);
    writeFileSync(join(repo, "README.md"), "changed meanwhile\n");
    assert.equal((await lab.run(["action", "approve", String(id), "--yes"])).code, 0);
    const failed = await agent.refusal("check_approval", { approval_id: id, wait_seconds: 300 });
    assert.match(failed, /APPROVAL_CHANGED.*Read the file again/s);
    assert.equal(readFileSync(join(repo, "README.md"), "utf8"), "changed meanwhile\n");
    const { approval_id: again } = await agent.answer("write_file", call);
    assert.notEqual(again, id);
    assert.match((await lab.run(["action", "ls"])).stdout, /-changed meanwhile/);
    assert.equal((await lab.run(["action", "approve", String(again), "--yes"])).code, 0);
    await agent.answer("check_approval", { approval_id: again, wait_seconds: 300 });
    assert.equal(readFileSync(join(repo, "README.md"), "utf8"), "approved\n");
  });

  it("a write that was approved does not touch what came, went, or is reached by another way meanwhile", async () => {
    // files of the host's root have no owner in the machine
    for (const [name, text] of Object.entries({
      "seen.txt": "seen\n",
      "other.txt": "seen\n",
      "goes.txt": "goes\n",
    })) {
      writeFileSync(join(repo, name), text);
      if (needsRoot === false) chownSync(join(repo, name), REPO_OWNER, REPO_OWNER);
    }
    symlinkSync("seen.txt", join(repo, "link"));
    const ids: unknown[] = [];
    for (const path of ["comes.txt", "goes.txt", "link"])
      ids.push((await agent.answer("write_file", { path, content: "approved\n" }))["approval_id"]);
    assert.match((await lab.run(["action", "ls"])).stdout, /which is "\/workspace\/shop\/seen\.txt"/);
    writeFileSync(join(repo, "comes.txt"), "came\n");
    rmSync(join(repo, "goes.txt"));
    rmSync(join(repo, "link"));
    symlinkSync("other.txt", join(repo, "link"));
    for (const id of ids) assert.equal((await lab.run(["action", "approve", String(id), "--yes"])).code, 0);
    for (const id of ids.slice(0, 2))
      assert.match(
        await agent.refusal("check_approval", { approval_id: id, wait_seconds: 300 }),
        /APPROVAL_CHANGED/,
      );
    await agent.answer("check_approval", { approval_id: ids[2], wait_seconds: 300 });
    const content = (name: string): string => readFileSync(join(repo, name), "utf8");
    assert.deepEqual(
      [content("comes.txt"), content("other.txt"), content("seen.txt")],
      ["came\n", "seen\n", "approved\n"],
    );
    assert.equal(existsSync(join(repo, "goes.txt")), false);
  });

  it("nobody is asked about a write that its own condition refuses", async () => {
    const call = { path: "README.md", content: "x", create_only: true };
    assert.match(await agent.refusal("write_file", call), /PATH_CHANGED.*Nobody was asked/s);
  });

  it("an approval for a time covers the same write, and not another", async () => {
    const call = { path: "again.txt", content: "x" };
    const { approval_id: id } = await agent.answer("write_file", call);
    assert.equal((await lab.run(["action", "approve", String(id), "--yes", "--for", "10m"])).code, 0);
    await agent.answer("check_approval", { approval_id: id, wait_seconds: 300 });
    assert.equal((await agent.answer("write_file", call))["created"], false);
    const other = await agent.answer("write_file", { ...call, content: "y" });
    assert.equal(other["status"], "pending");
    assert.equal((await lab.run(["action", "deny", String(other["approval_id"])])).code, 0);
    const checked = await agent.call("check_approval", {
      approval_id: other["approval_id"],
      wait_seconds: 300,
    });
    assert.equal(checked.structuredContent?.["status"], "refused");
  });

  it("a client that is killed and started anew is not asked about again what it was refused", async () => {
    const refused = { path: "never.txt", content: "x" };
    await using first = new StdioAgent(lab, ["shop", "--as", "codex", "--op", OPERATIONS.join(",")]);
    await first.begin();
    const asked = (await first.call("write_file", refused)).result?.structuredContent;
    assert.equal(asked?.["status"], "pending");
    assert.equal((await lab.run(["action", "deny", String(asked["approval_id"])])).code, 0);
    const check = { approval_id: asked["approval_id"], wait_seconds: 300 };
    await first.call("check_approval", check);
    first.child.kill("SIGKILL");
    await using second = new StdioAgent(lab, ["shop", "--as", "codex", "--op", OPERATIONS.join(",")]);
    await second.begin();
    const again = await second.call("write_file", refused);
    assert.match(JSON.stringify(again.result?.content), /APPROVAL_DENIED.*the same was asked a moment ago/);
    assert.equal((await operator.call("approvals.list", {})).approvals.length, 0);
  });

  it("the evidence of the machine reads like a story, agent and operator apart", async () => {
    await agent.answer("read_file", { path: "README.md" });
    const { stdout } = await lab.run(["evidence", "ls", "--machine", "shop", "-n", "60"]);
    for (const line of [
      /agent:codex:1 opened agent-tool of shop as agent/,
      /agent:codex:1 asked to write \/workspace\/shop\/README\.md in shop, which waits for approval \(a_/,
      /operator:\S+ approved agent-tool\.write for agent:codex:1/,
      /agent:codex:1 wrote \/workspace\/shop\/README\.md in shop in [0-9.]+s \(a_/,
      /agent:codex:1 ran echo in shop \(exit 0\) in [0-9.]+s \(a_/,
      /operator:\S+ denied agent-tool\.write for agent:codex:1/,
      /agent:codex:1 read \/workspace\/shop\/README\.md in shop/,
      /agent:codex:1 asked what was decided in shop/,
    ])
      assert.match(stdout, line);
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });

  it("a machine that nobody knows is an error, and one without such records says so", async () => {
    const unknown = await lab.run(["evidence", "ls", "--machine", "nope"]);
    assert.equal(unknown.code, 4);
    assert.match(unknown.stderr, /nope/);
    const none = await lab.run(["evidence", "ls", "--machine", "shop", "--type", "review"]);
    assert.deepEqual([none.code, none.stdout.trim()], [0, "No records fit"]);
  });

  it("revoking kills the program of a running call within 50 ms of the answer of revoke", async (test) => {
    const { approval_id: id } = await agent.answer("run_command", {
      command: "trap '' TERM; sleep 3142; sleep 3142",
    });
    assert.equal((await lab.run(["action", "approve", String(id), "--yes"])).code, 0);
    const pids = (): string[] =>
      lab
        .inside()
        .filter(({ command }) => command.includes("sleep 3142"))
        .map(({ pid }) => String(pid));
    await lab.until("it runs", () => pids().length > 0);
    const began = performance.now();
    await operator.call("grants.revoke", { params: { grant }, body: { reason: "test" } });
    const ms = await lab.until("it is gone", () => pids().length === 0, 5000);
    test.diagnostic(
      `gone ${String(Math.round(performance.now() - began))} ms after revoke was asked, ${String(Math.round(ms))} ms after it answered`,
    );
  });
});

/** A desktop whose notifications are written to the file "told". */
function withDesktop(root: string): Record<string, string> {
  const bin = join(root, "desktop");
  mkdirSync(bin);
  writeFileSync(join(bin, "notify-send"), `#!/bin/sh\nprintf '%s\\n' "$@" >> ${root}/told\n`, {
    mode: 0o755,
  });
  return { PATH: `${bin}:${process.env["PATH"] ?? ""}`, DISPLAY: ":99" };
}
