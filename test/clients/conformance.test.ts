import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { AGENT_OPERATIONS, startMcp, type McpBench } from "../support/mcp-bench.ts";
import { clientsMissing, runClient } from "./client-programs.ts";
import { conformanceServer } from "../support/conformance-fixture.ts";
import { TokenShim } from "./token-shim.ts";

/** The suites, by the revision that each is asked to judge. */
const suites = [
  {
    revision: "2025-11-25",
    program: "conformance-2025-11-25/dist/index.js",
    args: ["--suite", "all"],
    baseline: "conformance-2025-11-25-shipped.yaml",
  },
  {
    revision: "2025-11-25, as the newer suite froze it",
    program: "@modelcontextprotocol/conformance/dist/index.js",
    args: ["--requirements", "2025-11-25"],
    baseline: "conformance-2025-11-25.yaml",
  },
  {
    revision: "2026-07-28",
    program: "@modelcontextprotocol/conformance/dist/index.js",
    args: ["--requirements", "2026-07-28"],
    baseline: "conformance-2026-07-28.yaml",
  },
];

describe("the MCP conformance suite at the door's own gateway", { skip: clientsMissing }, () => {
  let lab: McpBench;
  let shim: TokenShim;
  let out: string;
  before(async () => {
    shim = await TokenShim.open();
    // The suite asks for an origin of loopback to be let in, which the operator has to allow here.
    const config = { config: { origins: [shim.origin] } };
    lab = await startMcp({ serverOf: conformanceServer, config });
    const { token } = await lab.bench.grant({ operations: AGENT_OPERATIONS });
    shim.aim(lab.url, token);
    out = mkdtempSync(join(tmpdir(), "dw-conf-"));
  });
  after(async () => {
    await shim[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
    rmSync(out, { recursive: true, force: true });
  });
  for (const { revision, program, args, baseline } of suites) {
    it(
      `holds for ${revision}, but for what the baseline names with its reason`,
      { timeout: 600_000 },
      async () => {
        const folder = mkdtempSync(join(out, "run-"));
        const expected = fileURLToPath(new URL(baseline, import.meta.url));
        const run = await runClient(program, [
          ...["server", "--url", shim.url, "-o", folder, "--expected-failures", expected],
          ...args,
        ]);
        assert.equal(run.code, 0, `${run.stdout.slice(-6000)}\n${run.stderr.slice(-2000)}`);
        const checks = readdirSync(folder, { recursive: true })
          .map(String)
          .filter((name) => name.endsWith("checks.json"))
          .flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as { status: string }[]);
        assert.ok(
          checks.filter(({ status }) => status === "SUCCESS").length > 30,
          "the suite judged something",
        );
      },
    );
  }
});
