import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { eventually } from "../../packages/bridge/test/gateway-dial.ts";
import { AGENT_OPERATIONS, startMcp, type McpBench } from "../support/mcp-bench.ts";
import { clientsMissing, runClient, runDriver, type Ran } from "./client-programs.ts";

interface Seen {
  readonly server?: { readonly name: string };
  readonly instructions?: string;
  readonly tools?: readonly { readonly name: string; readonly readOnly: boolean }[];
  readonly answer?: Result;
  readonly failed?: Result;
  readonly unknown?: number;
  readonly progress?: string;
  readonly cancelled?: boolean;
  readonly templates?: number;
  readonly error?: { readonly code?: unknown; readonly message: string };
}

interface Result {
  readonly isError?: boolean;
  readonly structuredContent?: unknown;
  readonly content: readonly { readonly type: string; readonly text?: string; readonly uri?: string }[];
  readonly _meta?: Readonly<Record<string, unknown>>;
}

describe("MCP clients of other projects", { skip: clientsMissing }, () => {
  let lab: McpBench;
  let folder: string;
  let grant: { id: string; token: string };
  before(async () => {
    lab = await startMcp();
    folder = mkdtempSync(join(tmpdir(), "dw-clients-"));
  });
  beforeEach(async () => {
    grant = await lab.bench.grant({ operations: AGENT_OPERATIONS });
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const seenBy = ({ stdout, stderr }: Ran): Seen => {
    assert.notEqual(stdout, "", stderr);
    return JSON.parse(stdout) as Seen;
  };

  const sdks: [string, string, object][] = [
    ["the v1 SDK over HTTP", "drivers/sdk-v1.mjs", { transport: "http" }],
    ["the v1 SDK over a WebSocket", "drivers/sdk-v1.mjs", { transport: "websocket" }],
    ["the v2 SDK over HTTP, by default", "drivers/sdk-v2.mjs", { transport: "http" }],
    ["the v2 SDK over HTTP, asking first", "drivers/sdk-v2.mjs", { transport: "http", mode: "auto" }],
    [
      "the v2 SDK over HTTP, in 2026-07-28 alone",
      "drivers/sdk-v2.mjs",
      { transport: "http", mode: { pin: "2026-07-28" } },
    ],
  ];
  for (const [name, driver, how] of sdks) {
    it(`${name} lists, calls, is told of progress, and cancels`, async () => {
      const aborted = lab.calls.aborted;
      // Its tool tells of its progress, however long a host stands still before.
      const given = { ...how, url: lab.url, token: grant.token, patienceMs: 300_000 };
      const seen = seenBy(await runDriver(driver, given));
      assert.equal(seen.error, undefined);
      assert.match(seen.instructions ?? "", /isolated machine "alpha"/);
      assert.deepEqual(
        seen.tools?.map((tool) => [tool.name, tool.readOnly]),
        [
          ["read_file", true],
          ["write_file", false],
          ["run_command", false],
        ],
      );
      assert.deepEqual(seen.answer?.structuredContent, { machine: "alpha", echo: "hello" });
      assert.deepEqual(seen.answer._meta?.["doorward/machine"], { id: "m_alpha00000", name: "alpha" });
      assert.ok(seen.answer.content.some(({ text }) => text?.includes('machine "alpha"')));
      assert.ok(seen.answer.content.some(({ uri }) => uri === "doorward://alpha/workspace/a%20b.txt"));
      assert.equal(seen.failed?.isError, true);
      assert.equal(seen.unknown, -32602);
      assert.equal(seen.progress, "began");
      assert.equal(seen.cancelled, true);
      assert.equal(seen.templates, 1);
      await eventually(() => lab.calls.aborted === aborted + 1, "the call ended with its cancellation");
      assert.equal(lab.calls.running.size, 0);
    });

    it(`${name} is told that its token is not valid`, async () => {
      lab.bench.authority.revoke(grant.id, "test", "operator:ada");
      const seen = seenBy(await runDriver(driver, { ...how, url: lab.url, token: grant.token }));
      assert.ok(seen.error !== undefined, JSON.stringify(seen));
    });
  }

  const inspect = (...args: readonly string[]): Promise<Ran> =>
    runClient("@modelcontextprotocol/inspector/clients/launcher/build/index.js", [
      ...["--cli", lab.url, "--transport", "http", "--header", `Authorization: Bearer ${grant.token}`],
      ...args,
    ]);
  for (const era of ["legacy", "modern", "auto"]) {
    it(`the Inspector calls a tool, in its ${era} era`, async () => {
      const called = ["--method", "tools/call", "--tool-name", "read_file", "--tool-arg", "path=hello"];
      const run = await inspect("--protocol-era", era, ...called);
      assert.equal(run.code, 0, run.stderr);
      assert.match(run.stdout, /"echo": ?"hello"/);
    });
  }
  it("the Inspector ends with 5 when a tool failed", async () => {
    const called = ["--method", "tools/call", "--tool-name", "write_file", "--tool-arg", "path=x"];
    assert.equal((await inspect(...called)).code, 5);
  });
  it("the Inspector ends with 3 when the token is not valid", async () => {
    grant = { ...grant, token: `${grant.token.slice(0, -1)}${grant.token.endsWith("a") ? "b" : "a"}` };
    const run = await inspect("--stored-auth-only", "--method", "tools/list");
    assert.equal(run.code, 3, run.stderr);
  });

  it("mcporter lists and calls", async () => {
    const config = join(folder, "mcporter.json");
    const door = { url: lab.url, headers: { Authorization: `Bearer ${grant.token}` } };
    writeFileSync(config, JSON.stringify({ mcpServers: { door } }));
    const env = { HOME: folder };
    const listed = await runClient("mcporter/dist/cli.js", ["--config", config, "list", "door"], { env });
    assert.match(listed.stdout, /read_file/, listed.stderr);
    const called = ["--config", config, "call", "door.read_file", "path=hello"];
    assert.match((await runClient("mcporter/dist/cli.js", called, { env })).stdout, /"echo": "hello"/);
  });
});
