import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { AGENT_TOOLS, TOOL_NAMES } from "@doorward/contracts";
import * as z from "zod";
import { ALL_TOOLS } from "../src/agent-tool/tools/all-tools.ts";
import { toolsPage } from "../scripts/tools-page.ts";

test("docs/tools.md is what the tools say of themselves", () => {
  const page = readFileSync(new URL("../../../docs/tools.md", import.meta.url), "utf8");
  assert.equal(page, toolsPage(), "run npm run tools-page");
});

test("every tool of the contracts is built once", () => {
  assert.deepEqual(ALL_TOOLS.map(({ name }) => name).sort(), [...TOOL_NAMES].sort());
});

test("arguments are snake_case, described, and nothing else is taken", () => {
  for (const { name, input } of ALL_TOOLS) {
    const schema = z.toJSONSchema(input, { io: "input" });
    assert.equal(schema.additionalProperties, false, name);
    for (const [key, field] of Object.entries(schema.properties ?? {})) {
      assert.match(key, /^[a-z]+(?:_[a-z]+)*$/, name);
      assert.ok((field as { description?: string }).description, `${name}.${key} has no description`);
    }
  }
});

test("every answer names its machine, also for clients that give a model nothing but the structured one", () => {
  for (const { name, output } of ALL_TOOLS) assert.ok("machine" in output.shape, name);
});

test("descriptions are short, and what only reads destroys nothing", () => {
  for (const { name, description, title, hints } of ALL_TOOLS) {
    assert.ok(description.length <= 600, `${name}: ${String(description.length)}`);
    assert.ok(title.length <= 40, name);
    if (AGENT_TOOLS[name].effect === "reads") assert.equal(hints.destructive, false, name);
  }
});
