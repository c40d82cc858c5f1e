import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { openLab, type Lab } from "../support/lab.ts";
import {
  configureOpenClaw,
  node24,
  OpenClaw,
  openclaw,
  runOpenClaw,
  type OpenClawOptions,
} from "./openclaw-driver.ts";
import { ScriptedModel } from "./scripted-model.ts";

const plugin = fileURLToPath(new URL("../../packages/openclaw-plugin/", import.meta.url));

const policy = `grants:
  - to: "agent:openclaw:*"
    doors: [terminal, agent-tool]
    operations: [terminal.agent-exec, agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec, agent-tool.egress]
    for: 8h
`;

describe(
  "OpenClaw from npm, on exactly the files that connect wrote",
  { skip: whyNot(), timeout: 900_000 },
  () => {
    let lab: Lab;
    let model: ScriptedModel;
    let options: OpenClawOptions;
    let port: number;
    /** The repo of each machine. */
    const repos = new Map<string, string>();
    const opened: AsyncDisposable[] = [];

    before(async () => {
      lab = await openLab({ policy });
      opened.push(lab);
      model = await ScriptedModel.open();
      opened.push(model);
      for (const [machine, name] of [
        ["shop", "notes"],
        ["desk", "letters"],
      ] as const) {
        repos.set(machine, lab.repo(name, { "todo.txt": "buy milk\n" }));
        await lab.up(repos.get(machine) ?? "", "--name", machine);
      }
      const home = join(lab.root, "scratch");
      mkdirSync(home);
      options = {
        ...{ home, workspace: repos.get("shop") ?? "", model, env: lab.env },
        ...{ sandbox: { mode: "off" }, agents: [{ id: "main" }], plugins: {}, mcp: {} },
      };
      port = await configureOpenClaw(options);
    });
    after(async () => {
      for (const one of opened.reverse()) await one[Symbol.asyncDispose]();
    });

    const config = (): string => readFileSync(join(options.home, ".openclaw", "openclaw.json"), "utf8");

    async function connect(machine: string, ...args: readonly string[]): Promise<void> {
      const ran = await lab.run(["connect", "openclaw", machine, ...args], { env: { HOME: options.home } });
      assert.equal(ran.code, 0, ran.stderr);
    }

    // A gateway takes long to start, so each of them is asked all that can be asked of what is written then.
    it("its MCP entries over stdio and HTTP: it finds them, and calls land in their machines, until they are taken back", async () => {
      const before = config();
      const transports = { shop: "stdio", desk: "http" };
      for (const [machine, transport] of Object.entries(transports))
        await connect(machine, "--transport", transport, "--write");
      const found = await runs("mcp", "probe", "--json");
      await using gateway = await OpenClaw.startAs(options, port);
      for (const [machine, transport] of Object.entries(transports)) {
        assert.match(found, new RegExp(`doorward-${machine}[^]*run_command`));
        const command = `id -un; echo ${transport} > made.txt; cat todo.txt`;
        const call = { name: `doorward-${machine}__run_command`, args: { command } };
        const seen = (await gateway.turn("agent:main:first", call)).join("\n");
        assert.match(seen, /agent[^]*buy milk/);
        assert.match(seen, new RegExp(`"?${machine}"?`));
        assert.equal(readFileSync(join(repos.get(machine) ?? "", "made.txt"), "utf8"), `${transport}\n`);
      }
      for (const [machine, transport] of Object.entries(transports))
        await connect(machine, "--transport", transport, "--remove");
      assert.equal(config(), before);
    });

    it("its own tools: with the documented commands its shell runs in the machine, until it is taken back", async () => {
      await runs("plugins", "install", "--link", plugin, "--force", "--accept-capabilities");
      const sandbox = '{"mode":"all","backend":"doorward","scope":"session","workspaceAccess":"rw"}';
      await runs("config", "set", "agents.defaults.sandbox", sandbox, "--strict-json", "--merge");
      const before = config();
      await connect("shop", "--own-tools", "--write");
      const exec = { name: "exec", args: { command: "hostname; id -un; cat todo.txt" } };
      {
        await using gateway = await OpenClaw.startAs(options, port);
        assert.match((await gateway.turn("agent:main:first", exec)).join("\n"), /shop\nagent\nbuy milk/);
      }
      const [record] = await lab.records("command");
      assert.match(record?.subject ?? "", /^agent:openclaw:/);
      assert.equal(record?.machine, "shop");
      await connect("shop", "--remove");
      assert.equal(config(), before);
    });

    it("all of it taken back, neither its shell nor a tool reaches a machine of before", async () => {
      await using gateway = await OpenClaw.startAs(options, port);
      // Without it each session has a machine of its own, or none where the command is not on its PATH.
      const ran = await gateway.turn("agent:main:first", { name: "exec", args: { command: "hostname" } });
      assert.doesNotMatch(ran.join("\n"), /^shop$/m);
      const call = { name: "doorward-shop__run_command", args: { command: "cat todo.txt" } };
      assert.doesNotMatch((await gateway.turn("agent:main:first", call)).join("\n"), /buy milk/);
      assert.ok(!model.tools.some((name) => name.startsWith("doorward")));
    });

    async function runs(...args: readonly string[]): Promise<string> {
      const { code, output } = await runOpenClaw(options, ...args);
      assert.equal(code, 0, output);
      return output;
    }
  },
);

function whyNot(): string | false {
  if (!existsSync(openclaw))
    return "OpenClaw is not installed: npm ci --ignore-scripts --prefix test/clients";
  if (!existsSync(node24)) return "OpenClaw needs Node 24, which is not installed for this processor";
  if (!existsSync(join(plugin, "dist", "index.js"))) return "the plugin is not built: npm run build";
  return false;
}
