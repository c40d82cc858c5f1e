import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";
import { CodexAppServer, codexMissing, codexModel, codexProgram, placeCodex } from "./codex-driver.ts";
import { ScriptedModel } from "./scripted-model.ts";

const policy = `grants:
  - to: "agent:codex:*"
    doors: [terminal, agent-tool]
    operations: [terminal.agent-exec, agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec]
    for: 8h
`;

describe("Codex from npm", { skip: codexMissing }, () => {
  let lab: Lab;
  let model: ScriptedModel;
  let machine: string;
  let repo: string;
  let grant: { id: string; token: string };
  let codex: CodexAppServer;
  let thread: string;
  let home: string;

  before(async () => {
    lab = await openLab({ policy });
    model = await ScriptedModel.open();
    repo = lab.repo("app", { "greeting.txt": "hello\n" });
    const tools = lab.repo("codex-for-machine");
    placeCodex(join(tools, "codex"));
    machine = await lab.up(repo, "--ro", tools);
    grant = await lab.grant(machine, ["terminal.agent-exec"], "1h", "agent:codex:lab");
    home = join(lab.root, "codex");
    mkdirSync(home);
    const port = await lab.tcpPort();
    const mcp = await lab.grant(machine, ["agent-tool.read", "agent-tool.exec"], "1h", "agent:codex:mcp");
    writeFileSync(join(home, "config.toml"), config(model.url, port, machine));
    writeFileSync(join(home, "environments.toml"), environments(port, machine, grant.token));
    codex = await CodexAppServer.start(codexProgram, home, { LAB_KEY: "none", DOOR_TOKEN: mcp.token });
    thread = await newThread(codex);
  });

  after(async () => {
    await codex[Symbol.asyncDispose]();
    await model[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });

  async function newThread(of: CodexAppServer): Promise<string> {
    const cwd = "/workspace/app";
    const started = await of.call("thread/start", {
      cwd,
      approvalPolicy: "never",
      sandbox: "danger-full-access",
      environments: [{ environmentId: "machine", cwd }],
    });
    return (started["thread"] as { id: string }).id;
  }

  async function turn(...commands: readonly string[]): Promise<readonly string[]> {
    const directive = model.directive(...commands.map((cmd) => ({ name: "exec_command", args: { cmd } })));
    await codex.turn(thread, directive);
    return model.outputs(directive);
  }

  test("its shell runs in the machine through the pipe", async () => {
    const [seen = ""] = await turn("pwd; hostname; id -un; ls; echo from-codex > made.txt");
    assert.match(seen, /\/workspace\/app/);
    assert.match(seen, /agent\ngreeting\.txt/);
    const inside = await lab.sh(machine, "hostname");
    assert.ok(seen.includes(inside.stdout.trim()));
    assert.equal(readFileSync(join(repo, "made.txt"), "utf8"), "from-codex\n");
  });

  test("its apply_patch changes files of the machine's repository", async () => {
    const patch = [
      "*** Begin Patch",
      "*** Update File: greeting.txt",
      "@@",
      "-hello",
      "+good morning",
      "*** Add File: new.txt",
      "+one",
      "*** End Patch",
    ].join("\n");
    const [seen = ""] = await turn(`apply_patch <<'EOF'\n${patch}\nEOF`);
    assert.match(seen, /Success/);
    assert.equal(readFileSync(join(repo, "greeting.txt"), "utf8"), "good morning\n");
    assert.equal(readFileSync(join(repo, "new.txt"), "utf8"), "one\n");
  });

  test("a file of 2 MB goes through a patch", async () => {
    const [made = ""] = await turn("yes line | head -c 2000000 > big.txt; echo end >> big.txt");
    assert.match(made, /code 0/);
    const patch = ["*** Begin Patch", "*** Update File: big.txt", "@@", "-end", "+over", "*** End Patch"];
    const [seen = ""] = await turn(`apply_patch <<'EOF'\n${patch.join("\n")}\nEOF`);
    assert.match(seen, /Success/);
    assert.ok(readFileSync(join(repo, "big.txt"), "utf8").endsWith("\nover\n"));
  });

  test("what the machine must not see stays out of reach", async () => {
    const hidden = join(lab.home, "config", "policy.yaml");
    const [seen = ""] = await turn(`cat ${hidden}; touch .git/hooks/pre-commit; echo done`);
    assert.match(seen, /No such file/);
    assert.ok(!existsSync(join(repo, ".git", "hooks", "pre-commit")));
  });

  test("it calls tools of the machine's agent-tool door by MCP, under another grant", async () => {
    const directive = model.directive({
      namespace: "mcp__door",
      name: "run_command",
      args: { command: "id -un; cat new.txt" },
    });
    await codex.turn(thread, directive);
    assert.match(model.outputs(directive)[0] ?? "", /agent\\none/);
    const read = model.directive({ namespace: "mcp__door", name: "read_file", args: { path: "new.txt" } });
    await codex.turn(thread, read);
    // Codex gives its model the structured answer alone, so that has to say where it comes from.
    assert.match(model.outputs(read)[0] ?? "", new RegExp(`"machine":"${machine}"`));
    const refused = model.directive({
      namespace: "mcp__door",
      name: "write_file",
      args: { path: "not-granted.txt", content: "x" },
    });
    await codex.turn(thread, refused);
    assert.match(model.outputs(refused)[0] ?? "", /unsupported|not granted|OPERATION_NOT_GRANTED/i);
    assert.ok(!existsSync(join(repo, "not-granted.txt")));
  });

  test("revoking the grant cuts it, and nothing falls back to the host", async () => {
    void turn("sleep 4799").catch(() => undefined);
    const runs = (): boolean => lab.inside().some(({ command }) => /sleep 4799|exec-server/.test(command));
    await lab.until("the command runs", () => lab.inside().some(({ command }) => command === "sleep 4799"));
    await lab.json(["grant", "revoke", grant.id]);
    await lab.until("it and the exec-server died", () => !runs());
    const marker = join(lab.root, "on-the-host");
    await using fresh = await CodexAppServer.start(codexProgram, home, { LAB_KEY: "none" });
    const directive = model.directive({ name: "exec_command", args: { cmd: `touch ${marker}` } });
    await newThread(fresh).then(
      (id) => fresh.turn(id, directive),
      () => undefined,
    );
    assert.match(model.outputs(directive)[0] ?? "", /No usable execution environment/);
    assert.ok(!existsSync(marker));
    const [record] = await lab.records("command");
    assert.equal(record?.summary, `agent:codex:lab ran codex in ${machine}: cut`);
  });
});

function config(model: string, port: number, machine: string): string {
  return `${codexModel(model)}
[mcp_servers.door]
url = "http://127.0.0.1:${String(port)}/v1/machines/${machine}/doors/agent-tool/mcp"
bearer_token_env_var = "DOOR_TOKEN"
default_tools_approval_mode = "approve"
`;
}

function environments(port: number, machine: string, token: string): string {
  const argv = ["/workspace/codex-for-machine/codex", "exec-server", "--listen", "stdio"];
  const query = argv.map((arg) => `arg=${encodeURIComponent(arg)}`).join("&");
  return `default = "machine"
include_local = false
[[environments]]
id = "machine"
url = "ws://127.0.0.1:${String(port)}/v1/machines/${machine}/doors/pipe?${query}"
auth_bearer_token = "${token}"
`;
}
