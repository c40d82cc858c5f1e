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
    let workspace: string;
    const opened: AsyncDisposable[] = [];

    before(async () => {
      lab = await openLab({ policy });
      opened.push(lab);
      model = await ScriptedModel.open();
      opened.push(model);
      workspace = lab.repo("notes", { "todo.txt": "buy milk\n" });
      await lab.up(workspace, "--name", "shop");
      const home = join(lab.root, "scratch");
      mkdirSync(home);
      options = {
        ...{ home, workspace, model, env: lab.env },
        ...{ sandbox: { mode: "off" }, agents: [{ id: "main" }], plugins: {}, mcp: {} },
      };
      port = await configureOpenClaw(options);
    });
    after(async () => {
      for (const one of opened.reverse()) await one[Symbol.asyncDispose]();
    });

    const config = (): string => readFileSync(join(options.home, ".openclaw", "openclaw.json"), "utf8");

    async function connect(...args: readonly string[]): Promise<void> {
      const ran = await lab.run(["connect", "openclaw", "shop", ...args], { env: { HOME: options.home } });
      assert.equal(ran.code, 0, ran.stderr);
    }

    /** What the agent's call answered in a gateway of its own. */
    async function turn(name: string, args: Readonly<Record<string, unknown>>): Promise<string> {
      await using gateway = await OpenClaw.startAs(options, port);
      return (await gateway.turn("agent:main:first", { name, args })).join("\n");
    }

    const door = (command: string): Promise<string> => turn("doorward-shop__run_command", { command });

    for (const transport of ["stdio", "http"]) {
      it(`its MCP entry over ${transport}: a tool call lands in the machine, until it is taken back`, async () => {
        const before = config();
        await connect("--transport", transport, "--write");
        const seen = await door(`id -un; echo ${transport} > made.txt; cat todo.txt`);
        assert.match(seen, /agent/);
        assert.match(seen, /"?shop"?/);
        assert.equal(readFileSync(join(workspace, "made.txt"), "utf8"), `${transport}\n`);
        await connect("--transport", transport, "--remove");
        assert.equal(config(), before);
      });
    }

    it("taken back, it has no such tools", async () => {
      assert.doesNotMatch(await door("cat todo.txt"), /buy milk/);
      assert.ok(!model.tools.some((name) => name.startsWith("doorward")));
    });

    it("its own tools: with the documented commands its shell runs in the machine, until it is taken back", async () => {
      await runs("plugins", "install", "--link", plugin, "--force", "--accept-capabilities");
      const sandbox = '{"mode":"all","backend":"doorward","scope":"session","workspaceAccess":"rw"}';
      await runs("config", "set", "agents.defaults.sandbox", sandbox, "--strict-json", "--merge");
      const before = config();
      await connect("--own-tools", "--write");
      const seen = await turn("exec", { command: "hostname; id -un; cat todo.txt" });
      assert.match(seen, /shop\nagent\nbuy milk/);
      const [record] = await lab.records("command");
      assert.match(record?.subject ?? "", /^agent:openclaw:/);
      assert.equal(record?.machine, "shop");
      await connect("--remove");
      assert.equal(config(), before);
      // Without it each session has a machine of its own, or none where the command is not on its PATH.
      const after = await turn("exec", { command: "hostname" });
      assert.doesNotMatch(after, /^shop$/m);
    });

    async function runs(...args: readonly string[]): Promise<void> {
      const { code, output } = await runOpenClaw(options, ...args);
      assert.equal(code, 0, output);
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
