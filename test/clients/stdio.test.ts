import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse as parseYaml } from "yaml";
import { openLab, type Lab } from "../support/lab.ts";
import { doorward } from "../support/shared-image.ts";
import { clientsMissing, runClient, runDriver, type Ran } from "./client-programs.ts";
import { codexMissing, codexProgram } from "./codex-driver.ts";

interface Result {
  readonly isError?: boolean;
  readonly content: readonly { readonly text?: string }[];
}

interface Seen {
  readonly server?: { readonly name: string };
  readonly tools?: readonly { readonly name: string }[];
  readonly answer?: Result;
  readonly failed?: Result;
  readonly error?: { readonly message: string };
}

const OPERATIONS = "agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec, agent-tool.egress";
const policy = `grants:
  - { to: "agent:*", doors: [agent-tool], operations: [${OPERATIONS}], for: 8h }
`;

describe(
  "clients of other projects on doorward mcp and connect",
  { skip: clientsMissing, timeout: 600_000 },
  () => {
    let lab: Lab;
    let env: Readonly<Record<string, string>>;
    before(async () => {
      lab = await openLab({ policy });
      await lab.up(lab.repo("shop", { hello: "hello from the repo\n" }), "--name", "shop");
      env = { ...lab.env };
    });
    after(() => lab[Symbol.asyncDispose]());

    const shim = (...more: string[]) => ({
      command: process.execPath,
      args: [doorward, "mcp", "shop", ...more],
      env,
    });
    const seenBy = ({ stdout, stderr }: Ran): Seen => {
      assert.notEqual(stdout, "", stderr);
      return JSON.parse(stdout) as Seen;
    };
    const home = (name: string): string => {
      const path = join(lab.root, name);
      mkdirSync(path, { recursive: true });
      return path;
    };

    for (const [name, driver, how] of [
      ["the v1 SDK", "drivers/sdk-v1.mjs", {}],
      ["the v2 SDK, by default", "drivers/sdk-v2.mjs", {}],
      ["the v2 SDK, in 2026-07-28 alone", "drivers/sdk-v2.mjs", { mode: { pin: "2026-07-28" } }],
    ] as const) {
      it(`${name} works over stdio`, async () => {
        const seen = seenBy(
          await runDriver(driver, { transport: "stdio", ...shim("--as", "codex"), ...how }),
        );
        assert.equal(seen.error, undefined, seen.error?.message);
        assert.ok(seen.tools?.some((tool) => tool.name === "run_command"));
        assert.match(JSON.stringify(seen.answer?.content), /hello from the repo/);
        assert.ok(seen.failed === undefined || seen.failed.isError === true);
      });
    }

    it("mcporter calls a tool by what connect prints for any client", async () => {
      const printed = await lab.json<{ entry: object }>(["connect", "generic", "shop"]);
      const config = join(lab.root, "mcporter.json");
      writeFileSync(config, JSON.stringify(printed.entry));
      const args = ["--config", config, "call", "doorward-shop.read_file", "path=hello"];
      const ran = await runClient("mcporter/dist/cli.js", args, { env: { ...env, HOME: home("mcporter") } });
      assert.match(ran.stdout, /hello from the repo/, ran.stderr);
    });

    for (const client of ["claude-code", "vscode", "codex"]) {
      it(`mcporter finds and calls a tool by the file that connect wrote for ${client}, until it is taken back`, async () => {
        const own = { ...env, HOME: home(`${client}-home`) };
        const config = join(own.HOME, "mcporter.json");
        writeFileSync(config, JSON.stringify({ mcpServers: {}, imports: [client] }));
        const call = ["--config", config, "call", "doorward-shop.read_file", "path=hello"];
        const wrote = await lab.run(["connect", client, "shop", "--write"], { env: own });
        assert.equal(wrote.code, 0, wrote.stderr);
        const ran = await runClient("mcporter/dist/cli.js", call, { env: own, cwd: own.HOME });
        assert.match(ran.stdout, /hello from the repo/, ran.stderr);
        const removed = await lab.run(["connect", client, "shop", "--remove"], { env: own });
        assert.equal(removed.code, 0, removed.stderr);
        const after = await runClient("mcporter/dist/cli.js", call, { env: own, cwd: own.HOME });
        assert.doesNotMatch(after.stdout, /hello from the repo/);
      });
    }

    it("the SDK works by what connect wrote for Hermes", async () => {
      const own = { ...env, HOME: home("hermes-home") };
      const wrote = await lab.run(["connect", "hermes", "shop", "--write"], { env: own });
      assert.equal(wrote.code, 0, wrote.stderr);
      const file = join(own.HOME, ".hermes", "config.yaml");
      const { mcp_servers: servers } = parseYaml(readFileSync(file, "utf8")) as {
        mcp_servers: Record<string, object>;
      };
      const seen = seenBy(
        await runDriver("drivers/sdk-v1.mjs", { transport: "stdio", ...servers["doorward-shop"] }),
      );
      assert.match(JSON.stringify(seen.answer?.content), /hello from the repo/);
      assert.equal((await lab.run(["connect", "hermes", "shop", "--remove"], { env: own })).code, 0);
      assert.ok(!existsSync(file));
    });

    it("Codex reads what connect wrote", { skip: codexMissing }, async () => {
      const codexHome = home("codex-home");
      writeFileSync(join(codexHome, "config.toml"), '# mine\nmodel = "x"\n');
      const own = { ...env, CODEX_HOME: codexHome };
      assert.equal((await lab.run(["connect", "codex", "shop", "--write"], { env: own })).code, 0);
      const listed = spawnSync(codexProgram, ["mcp", "get", "doorward-shop", "--json"], {
        env: own,
        encoding: "utf8",
      });
      assert.match(listed.stdout, /"--as",\s*"codex"/, listed.stderr);
      const removed = await lab.run(["connect", "codex", "shop", "--remove"], { env: own });
      assert.equal(removed.code, 0, removed.stderr);
      assert.equal(readFileSync(join(codexHome, "config.toml"), "utf8"), '# mine\nmodel = "x"\n');
    });
  },
);
