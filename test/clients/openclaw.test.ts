import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openLab, type Lab } from "../support/lab.ts";
import { doorward } from "../support/shared-image.ts";
import { node24, OpenClaw, openclaw, runOpenClaw, type OpenClawOptions } from "./openclaw-driver.ts";
import { ScriptedModel, type ScriptedCall } from "./scripted-model.ts";

const plugin = fileURLToPath(new URL("../../packages/openclaw-plugin/", import.meta.url));

const skip = whyNot();

const policy = `grants:
  - to: "agent:openclaw:*"
    doors: [terminal, agent-tool]
    operations: [terminal.exec, terminal.agent-exec, agent-tool.read, agent-tool.exec]
    for: 8h
`;

const call = (name: string, args: Readonly<Record<string, unknown>>): ScriptedCall => ({ name, args });
const exec = (command: string): ScriptedCall => call("exec", { command });

describe("OpenClaw from npm", { skip, timeout: 720_000 }, () => {
  let lab: Lab;
  let model: ScriptedModel;
  let gateway: OpenClaw;
  let options: OpenClawOptions;
  let workspace: string;
  let elsewhere: string;
  const opened: (() => Promise<void>)[] = [];

  before(async () => {
    lab = await openLab({ policy });
    opened.push(() => lab[Symbol.asyncDispose]());
    model = await ScriptedModel.open();
    opened.push(() => model[Symbol.asyncDispose]());
    workspace = lab.repo("notes", { "todo.txt": "buy milk\n" });
    elsewhere = lab.repo("by-ssh", { "seed.txt": "seed\n" });
    const home = join(lab.root, "openclaw");
    mkdirSync(home);
    await lab.up(elsewhere, "--name", "ssh-box");
    const ssh = await standIn();
    options = {
      ...{ home, workspace, model, env: lab.env },
      sandbox: { mode: "all", backend: "doorward", scope: "session", workspaceAccess: "rw" },
      agents: [{ id: "main" }, { id: "ssh", workspace: elsewhere, sandbox: { backend: "ssh", ssh } }],
      plugins: {
        load: { paths: [plugin] },
        allow: ["doorward"],
        entries: { doorward: { enabled: true, config: { command: [process.execPath, doorward] } } },
      },
      mcp: { door: await door() },
    };
    gateway = await OpenClaw.start(options);
    opened.push(() => gateway[Symbol.asyncDispose]());
  });

  // In reverse, and also what a failed set-up had opened by then.
  after(async () => {
    for (const close of opened.reverse()) await close();
  });

  /** What OpenClaw's own ssh backend is given, as docs/ssh.md has it. */
  async function standIn(): Promise<object> {
    const operations = ["terminal.exec", "terminal.agent-exec"];
    const { token } = await lab.grant("ssh-box", operations, "1h", "agent:openclaw:ssh");
    const tokenFile = join(lab.root, "ssh-token");
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
    const written = await lab.run(["ssh-config", "--stand-in", "--token-file", tokenFile]);
    const command = join(lab.root, "openclaw-ssh");
    writeFileSync(command, written.stdout);
    chmodSync(command, 0o700);
    return { command, target: "agent@ssh-box.doorward:22", workspaceRoot: "/home/agent/openclaw" };
  }

  /** The agent-tool door of a machine, as `doorward connect openclaw` has it for HTTP. */
  async function door(): Promise<object> {
    const operations = ["agent-tool.read", "agent-tool.exec"];
    const { token } = await lab.grant("ssh-box", operations, "1h", "agent:openclaw:mcp");
    const url = `http://127.0.0.1:${String(await lab.tcpPort())}/v1/machines/ssh-box/doors/agent-tool/mcp`;
    return { url, transport: "streamable-http", headers: { Authorization: `Bearer ${token}` } };
  }

  test("the plugin loads, and OpenClaw finds nothing wrong with it", async () => {
    const { code, output } = await runOpenClaw(options, "plugins", "inspect", "doorward", "--json");
    assert.equal(code, 0, output);
    const { plugin: seen } = JSON.parse(output.slice(output.indexOf("{"))) as {
      plugin: { status: string; error?: string };
    };
    assert.deepEqual([seen.status, seen.error], ["loaded", undefined]);
  });

  test("it finds the tools of a machine's agent-tool door, and its agent calls them", async () => {
    const { code, output } = await runOpenClaw(options, "mcp", "probe", "--json");
    assert.equal(code, 0, output);
    assert.match(output, /run_command/);
    const [answer = ""] = await gateway.turn(
      "agent:main:mcp",
      call("door__run_command", { command: "cat seed.txt" }),
    );
    assert.match(answer, /seed/);
    assert.match(answer, /ssh-box/);
  });

  test("exec, read, write and edit work in a machine that was launched for the session", async () => {
    const [seen = "", read, wrote = "", edited = "", again] = await gateway.turn(
      "agent:main:first",
      exec("pwd; id -un; echo $DOORWARD_MACHINE; echo out; echo err >&2; exit 3"),
      call("read", { path: "todo.txt" }),
      call("write", { path: "deep/new.txt", content: "written\n" }),
      call("edit", { path: "todo.txt", edits: [{ oldText: "milk", newText: "oats" }] }),
      exec("cat todo.txt deep/new.txt"),
    );
    assert.match(seen, /\/workspace\/notes\nagent\nopenclaw-[0-9a-f]{12}\nout\nerr/);
    assert.match(seen, /code 3/);
    assert.equal(read, "buy milk\n");
    assert.match(wrote, /\/workspace\/notes\/deep\/new\.txt/);
    assert.match(edited, /\/workspace\/notes\/todo\.txt/);
    assert.match(again ?? "", /buy oats\nwritten/);
    assert.equal(readFileSync(join(workspace, "todo.txt"), "utf8"), "buy oats\n");
    assert.equal(readFileSync(join(workspace, "deep", "new.txt"), "utf8"), "written\n");
  });

  test("evidence names OpenClaw's session and its machine", async () => {
    const records = await lab.records("command", 50);
    const own = records.filter(({ subject }) => subject?.startsWith("agent:openclaw:agent-main-first"));
    assert.ok(own.length >= 5);
    assert.ok(own.every(({ machine }) => /^openclaw-[0-9a-f]{12}$/.test(machine ?? "")));
  });

  test("what the machine does not show stays denied, by every tool", async () => {
    const policyFile = join(lab.home, "config", "policy.yaml");
    const answers = await gateway.turn(
      "agent:main:first",
      exec(`cat ${policyFile}`),
      call("read", { path: policyFile }),
      call("read", { path: "../../etc/hostname" }),
      call("write", { path: ".git/hooks/pre-commit", content: "#!/bin/sh\ntouch /tmp/owned\n" }),
      call("write", { path: "/etc/owned", content: "x" }),
    );
    const [shown = "", read = "", up = "", hook = "", outside = ""] = answers;
    assert.match(shown, /No such file/);
    for (const answer of [read, up, outside]) assert.match(answer, /escapes|not allowed|outside/i);
    assert.match(hook, /Read-only|read-only|denied/);
    assert.ok(!existsSync(join(workspace, ".git", "hooks", "pre-commit")));
  });

  test("nothing that the model is shown has a grant's token in it", async () => {
    const [env = ""] = await gateway.turn("agent:main:first", exec("env; cat /proc/self/environ"));
    assert.doesNotMatch(env, /dwg_/);
    assert.doesNotMatch(gateway.log, /dwg_/);
  });

  test("OpenClaw's own ssh backend runs on the stand-in of ssh-config unchanged", async () => {
    // Every operation is a connection of its own there, so there are few.
    const [seen = "", wrote = ""] = await gateway.turn(
      "agent:ssh:first",
      exec("pwd; id -un; echo $DOORWARD_MACHINE; cat seed.txt"),
      call("write", { path: "made.txt", content: "by ssh\n" }),
    );
    assert.match(seen, /\/home\/agent\/openclaw\/.*\/workspace\nagent\nssh-box\nseed/);
    const [path = "none"] = /\/home\/agent\/openclaw\/\S*\/made\.txt/.exec(wrote) ?? [];
    assert.equal((await lab.exec("ssh-box", ["cat", path])).stdout, "by ssh\n");
  });

  test("a revoked grant ends what runs, is not replaced, and nothing falls back to the host", async () => {
    const [machine = ""] = (await lab.machines())
      .map(({ name }) => name)
      .filter((name) => /^openclaw-/.test(name));
    const running = gateway.turn("agent:main:first", exec("sleep 4788"));
    const sleeps = (): boolean => lab.inside().some(({ command }) => command === "sleep 4788");
    await lab.until("it runs", sleeps);
    await using operator = lab.client();
    const { grants } = await operator.call("grants.list", { query: {} });
    const own = grants.find(({ grant }) => grant.subject.startsWith("agent:openclaw:agent-main-first"));
    await lab.json(["grant", "revoke", own?.grant.grantId ?? "none"]);
    await lab.until("it died", () => !sleeps());
    const [cut = ""] = await running;
    assert.match(cut, /GRANT_REVOKED/);
    const marker = join(lab.root, "on-the-host");
    const tried = await gateway.turn(
      "agent:main:first",
      exec(`touch ${marker}; uname`),
      call("read", { path: "todo.txt" }),
      call("write", { path: "after.txt", content: "x" }),
    );
    assert.match(tried.join("\n"), /revoked/);
    assert.doesNotMatch(tried.join("\n"), /Linux|buy oats/);
    assert.ok(!existsSync(marker));
    assert.ok(!existsSync(join(workspace, "after.txt")));
    assert.equal((await lab.machine(machine)).state, "running");
  });
});

function whyNot(): string | false {
  if (!existsSync(openclaw))
    return "OpenClaw is not installed: npm ci --ignore-scripts --prefix test/clients";
  if (!existsSync(node24)) return "OpenClaw needs Node 24, which is not installed for this processor";
  if (!existsSync(join(plugin, "dist", "index.js"))) return "the plugin is not built: npm run build";
  return false;
}
