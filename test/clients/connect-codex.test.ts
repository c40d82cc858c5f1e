import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";
import { codexExec, codexMissing, codexModel, placeCodex } from "./codex-driver.ts";
import { ScriptedModel, type ScriptedCall } from "./scripted-model.ts";

const policy = `grants:
  - to: "agent:codex:*"
    doors: [terminal, agent-tool]
    operations: [terminal.agent-exec, agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec, agent-tool.egress]
    for: 8h
`;

const DOOR = "mcp__doorward_shop";
/** A call of the door's tool. Codex gives a server one second to start; asking it for something else first waits for it. */
const inDoor = (command: string): readonly ScriptedCall[] => [
  { name: "list_mcp_resources", args: { server: "doorward-shop" } },
  { namespace: DOOR, name: "run_command", args: { command } },
];
const inShell = (cmd: string): readonly ScriptedCall[] => [{ name: "exec_command", args: { cmd } }];

describe("Codex from npm, on exactly the files that connect wrote", { skip: codexMissing }, () => {
  let lab: Lab;
  let model: ScriptedModel;
  let home: string;
  let repo: string;
  let mine: string;
  const opened: AsyncDisposable[] = [];

  before(async () => {
    lab = await openLab({ policy });
    opened.push(lab);
    model = await ScriptedModel.open();
    opened.push(model);
    repo = lab.repo("app", { "greeting.txt": "hello\n" });
    const tools = lab.repo("codex-for-machine");
    placeCodex(join(tools, "codex"));
    await lab.up(repo, "--ro", tools, "--name", "shop");
    home = join(lab.root, "scratch");
    mkdirSync(join(home, ".codex"), { recursive: true });
    mine = `# mine\n${codexModel(model.url)}`;
    writeFileSync(file("config.toml"), mine);
  });
  after(async () => {
    for (const one of opened.reverse()) await one[Symbol.asyncDispose]();
  });

  const file = (name: string): string => join(home, ".codex", name);

  async function connect(...args: readonly string[]): Promise<string> {
    const ran = await lab.run(["connect", "codex", "shop", ...args], { env: { HOME: home } });
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout;
  }

  /** What calls in a new `codex exec` answered. `/tmp` is a folder of the host and of the machine. */
  async function codex(
    calls: readonly ScriptedCall[],
    { flags = [], env = {} }: { flags?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
  ): Promise<string> {
    const directive = model.directive(...calls);
    const ran = await codexExec([...flags, directive], {
      cwd: "/tmp",
      env: { ...lab.env, HOME: home, ...env },
    });
    return `${model.outputs(directive).join("\n")}\n${ran.output}`;
  }

  it("its MCP entry: a tool call lands in the machine, also while its own shell may change nothing", async () => {
    await connect("--write");
    const seen = await codex(inDoor("id -un; echo by-codex | tee made.txt"), { flags: ["-s", "read-only"] });
    assert.match(seen, /"machine":"shop"/);
    assert.match(seen, /agent\\+nby-codex/);
    assert.equal(readFileSync(join(repo, "made.txt"), "utf8"), "by-codex\n");
    const [record] = await lab.records("tool-call");
    assert.match(record?.subject ?? "", /^agent:codex:/);
  });

  it("its MCP entry over HTTP: the same, with the variable that connect tells of", async () => {
    const said = await connect("--transport", "http", "--write");
    const [, variable = "", tokenFile = ""] = /export (\w+)="\$\(cat (\S+)\)"/.exec(said) ?? [];
    const env = { [variable]: readFileSync(tokenFile, "utf8").trim() };
    assert.match(await codex(inDoor("cat made.txt"), { env }), /by-codex/);
    assert.doesNotMatch(await codex(inDoor("cat made.txt")), /by-codex/);
  });

  it("taken back: its configuration is what it was, and it has no such tools", async () => {
    await connect("--remove");
    assert.equal(readFileSync(file("config.toml"), "utf8"), mine);
    assert.doesNotMatch(await codex(inDoor("cat made.txt")), /by-codex/);
    assert.ok(!model.tools.includes(DOOR));
  });

  it("its own tools: its shell runs in the machine, and nowhere else", async () => {
    const said = await connect("--own-tools", "--program", "/workspace/codex-for-machine/codex", "--write");
    assert.match(said, /mkdir -p \/workspace\/app && cd \/workspace\/app/);
    const marker = join(lab.root, "on-the-host");
    const flags = ["-s", "danger-full-access"];
    const seen = await codex(inShell(`hostname; id -un; cat /workspace/app/greeting.txt; touch ${marker}`), {
      flags,
    });
    assert.match(seen, /shop\nagent\nhello/);
    assert.ok(!existsSync(marker));
    const [record] = await lab.records("command");
    assert.match(record?.subject ?? "", /^agent:codex:connect-/);
  });

  it("beside its own tools an MCP entry works with a URL, and not with a program to start", async () => {
    await connect("--write");
    const without = await codex(inDoor("cat made.txt"), { flags: ["-s", "danger-full-access"] });
    assert.match(without, /requires a local environment/);
    assert.ok(!model.tools.includes(DOOR));
    const said = await connect("--transport", "http", "--write");
    const [, variable = "", tokenFile = ""] = /export (\w+)="\$\(cat (\S+)\)"/.exec(said) ?? [];
    const env = { [variable]: readFileSync(tokenFile, "utf8").trim() };
    const flags = ["-s", "danger-full-access"];
    assert.match(await codex(inDoor("cat made.txt"), { env, flags }), /by-codex/);
  });

  it("both taken back: no file is left of them, the grants are revoked, and its shell is the host's again", async () => {
    const token = /auth_bearer_token = "(dwg_[^"]+)"/.exec(readFileSync(file("environments.toml"), "utf8"));
    await connect("--remove");
    assert.ok(!existsSync(file("environments.toml")));
    assert.equal(readFileSync(file("config.toml"), "utf8"), mine);
    await using client = lab.client();
    const { grants } = await client.call("grants.list", { query: {} });
    assert.deepEqual(
      grants.filter(({ grant, status }) => status === "active" && grant.subject.startsWith("agent:codex:")),
      [],
    );
    const url = `http://127.0.0.1:${String(await lab.tcpPort())}/v1/machines/shop`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${token?.[1] ?? ""}` } });
    assert.equal(answer.status, 401);
    const seen = await codex(inShell("hostname; echo $DOORWARD_MACHINE."), {
      flags: ["-s", "danger-full-access"],
    });
    assert.doesNotMatch(seen, /\nshop\n/);
  });
});
