import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openLab } from "../support/lab.ts";
import { callTools, LOAD_OPERATIONS } from "./agent-calls.ts";

/** Calls of all agents together; 10,000 for the figures of docs/benchmarks.md. */
const CALLS = Number(process.env["DOORWARD_LOAD_CALLS"] ?? 640);

const POLICY = `grants:
  - to: "agent:codex:*"
    doors: [agent-tool]
    operations: [${LOAD_OPERATIONS.join(", ")}]
    for: 8h
`;

describe("many agents at once", { timeout: 1_200_000 }, () => {
  it(`32 agents in 3 machines make ${String(CALLS)} calls: none lost, none in the wrong machine, memory flat`, async (test) => {
    await using lab = await openLab({ policy: POLICY });
    const result = await callTools(lab, { machines: 3, agents: 32, calls: CALLS });
    test.diagnostic(JSON.stringify({ ...result, wrong: result.wrong.length }));
    const file = process.env["DOORWARD_LOAD_RESULT"];
    if (file !== undefined) writeFileSync(join(file), `${JSON.stringify(result)}\n`);
    assert.deepEqual(result.wrong, []);
    assert.equal(result.answered, Math.ceil(CALLS / 32) * 32);
    assert.equal(result.recorded, result.answered);
    const { rss } = result;
    // the first calls load what later ones use too
    assert.ok(Math.max(...rss.slice(3)) < (rss[2] ?? 0) + 30, `MiB: ${rss.join(", ")}`);
  });
});
