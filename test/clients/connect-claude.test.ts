import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { openLab, type Lab } from "../support/lab.ts";

const claude = fileURLToPath(
  new URL(`node_modules/@anthropic-ai/claude-code-linux-${process.arch}/claude`, import.meta.url),
);
// Its licence does not let it be a dependency.
const skip = existsSync(claude)
  ? false
  : "Claude Code is not installed: npm install --no-save --ignore-scripts --prefix test/clients @anthropic-ai/claude-code@2.1.330";

const OPERATIONS = "agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec, agent-tool.egress";
const policy = `grants:
  - { to: "agent:*", doors: [agent-tool], operations: [${OPERATIONS}], for: 8h }
`;

describe("Claude Code from npm, on exactly the file that connect wrote", { skip, timeout: 600_000 }, () => {
  let lab: Lab;
  let home: string;
  before(async () => {
    lab = await openLab({ policy });
    await lab.up(lab.repo("shop"), "--name", "shop");
    home = join(lab.root, "scratch");
    mkdirSync(home);
    writeFileSync(join(home, ".claude.json"), '{\n  "hasCompletedOnboarding": true\n}\n');
  });
  after(() => lab[Symbol.asyncDispose]());

  async function connect(...args: readonly string[]): Promise<void> {
    const ran = await lab.run(["connect", "claude-code", "shop", ...args], { env: { HOME: home } });
    assert.equal(ran.code, 0, ran.stderr);
  }

  /** What its own check says of its servers: it connects to each, and lists the tools. */
  async function listed(): Promise<string> {
    const quiet = { DISABLE_AUTOUPDATER: "1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" };
    const child = spawn(claude, ["mcp", "list"], {
      ...{ cwd: home, env: { ...lab.env, HOME: home, ...quiet } },
      stdio: ["ignore", "pipe", "pipe"],
      ...{ timeout: 300_000, killSignal: "SIGKILL" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (bytes: Buffer) => (output += bytes.toString()));
    await once(child, "close");
    return output;
  }

  for (const transport of ["stdio", "http", "ws"]) {
    it(`it connects over ${transport}, until that is taken back`, async () => {
      await connect("--transport", transport, "--write");
      assert.match(await listed(), /doorward-shop.*Connected/);
      const [record] = await lab.records("session-open");
      assert.match(record?.subject ?? "", /^agent:claude-code:/);
      await connect("--remove");
      assert.doesNotMatch(await listed(), /doorward-shop/);
      assert.doesNotMatch(readFileSync(join(home, ".claude.json"), "utf8"), /doorward/);
    });
  }
});
