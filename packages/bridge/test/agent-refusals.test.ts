import assert from "node:assert/strict";
import { test } from "node:test";
import { DenialError } from "@doorward/contracts";
import * as z from "zod";
import { defineTool, type Tool } from "../../doors/src/agent-tool/tool.ts";
import { RefusedCalls } from "../../doors/src/agent-tool/refused-calls.ts";
import { APPROVAL_TOOLS } from "../../doors/src/agent-tool/tools/approval-tools.ts";
import { COMMAND_TOOLS } from "../../doors/src/agent-tool/tools/command-tools.ts";
import { createToolCaller } from "../../doors/src/agent-tool/tool-caller.ts";
import { agentLab, type AgentLab } from "./agent-tool-lab.ts";

const nowhere = { dial: () => Promise.reject(new Error("no machine here")) };
const workdir = "/workspace/shop";

const text = z.string().optional();
const writes = defineTool({
  name: "write_file",
  title: "Fixture",
  description: "A fixture",
  input: z.strictObject({
    ...{ path: z.string(), content: text, if_digest: text },
    create_only: z.boolean().optional(),
    edits: z.array(z.strictObject({ new_text: text, replace_all: z.boolean().optional() })).optional(),
  }),
  output: z.strictObject({ done: z.string() }),
  hints: { idempotent: false, destructive: true },
  call: () => Promise.reject(new Error("it must not run")),
});

const tools: readonly Tool[] = [writes, ...COMMAND_TOOLS, ...APPROVAL_TOOLS];
const spec = { approvalRequired: ["write_file", "run_command"] } as const;

const open = (more: Partial<Parameters<typeof agentLab>[0]> = {}): AgentLab =>
  agentLab({
    tools,
    link: nowhere,
    workdir,
    spec: { ...spec, approvalRequired: [...spec.approvalRequired] },
    ...more,
  });

/** A session in which the operator refused one call. */
async function refused(name: string, given: object, caller = createToolCaller(tools)): Promise<AgentLab> {
  const lab = open({ caller });
  const { approval_id: id } = await lab.answer(name, given);
  lab.asked[0]?.refuse();
  await lab.answer("check_approval", { approval_id: id, wait_seconds: 300 });
  return lab;
}

const written = { path: "src/a.ts", content: "x", edits: [{ new_text: "y" }] };
const sameWriting: Readonly<Record<string, object>> = {
  "the same": written,
  "another order of its fields": { edits: [{ new_text: "y" }], content: "x", path: "src/a.ts" },
  "a dot before the path": { ...written, path: "./src/a.ts" },
  "the absolute path": { ...written, path: "/workspace/shop/src/a.ts" },
  "a path that goes up and down": { ...written, path: "src/../src//./a.ts" },
  "a default that is written out": { ...written, edits: [{ new_text: "y", replace_all: false }] },
  "another condition": { ...written, create_only: true },
  "a digest to go by": { ...written, if_digest: `sha256:${"0".repeat(64)}` },
};
const otherWriting: Readonly<Record<string, object>> = {
  "another file": { ...written, path: "src/b.ts" },
  "the same name elsewhere": { ...written, path: "/src/a.ts" },
  "another content": { ...written, content: "x " },
  "a flag that is on": { ...written, edits: [{ new_text: "y", replace_all: true }] },
};

const run = { command: "rm -rf build" };
const sameCommand: Readonly<Record<string, object>> = {
  "white space around it": { command: "  rm -rf build\n" },
  "more white space between its words": { command: "rm -rf \t build" },
  "another time limit": { ...run, timeout_seconds: 121 },
  "in the background": { ...run, background: true },
  "its own folder named": { ...run, cwd: "/workspace/shop/." },
  "an empty environment": { ...run, env: {} },
};
const otherCommand: Readonly<Record<string, object>> = {
  "another folder": { ...run, cwd: "src" },
  "a variable": { ...run, env: { A: "1" } },
  input: { ...run, stdin: "y\n" },
  "white space in quotes, which may be part of a name": { command: "rm -rf '  build'" },
  "a backslash at its end, which keeps what follows": { command: "rm -rf build\\ " },
  "the same in other words": { command: "cd /workspace/shop && rm -rf build" },
};

for (const [name, given, same, other] of [
  ["write_file", written, sameWriting, otherWriting],
  ["run_command", run, sameCommand, otherCommand],
] as const) {
  test(`a refused ${name} is refused at once however it is spelled: ${Object.keys(same).join(", ")}`, async () => {
    await using lab = await refused(name, given);
    for (const [what, again] of Object.entries(same)) {
      const outcome = await lab.call(name, again);
      assert.equal(outcome.kind === "failed" && outcome.code, "APPROVAL_DENIED", what);
    }
    assert.equal(lab.asked.length, 1);
  });

  test(`what does something else than a refused ${name} is asked about: ${Object.keys(other).join(", ")}`, async () => {
    await using lab = await refused(name, given);
    for (const [what, another] of Object.entries(other))
      assert.equal((await lab.answer(name, another))["status"], "pending", what);
    assert.equal(lab.asked.length, 1 + Object.keys(other).length);
  });
}

test("a question that nobody answered does not shorten what was refused", () => {
  const calls = new RefusedCalls();
  for (const rule of ["approvals.operator", "approvals.time"])
    calls.add("same", new DenialError({ code: "APPROVAL_DENIED", rule, message: rule }));
  assert.throws(() => calls.check("same", "run_command"), /approvals\.operator/);
});

test("another grant, or another session, of the same kind of client dodges no refusal; another kind is asked about anew", async () => {
  const caller = createToolCaller(tools);
  await using first = await refused("run_command", run, caller);
  await using second = open({ caller });
  Object.assign(second.door, { grantId: "g_child" });
  await using restarted = open({ caller, subject: "agent:codex:s2" });
  for (const lab of [second, restarted]) {
    const outcome = await lab.call("run_command", run);
    assert.equal(outcome.kind === "failed" && outcome.code, "APPROVAL_DENIED");
  }
  await using other = open({ caller, subject: "agent:claude-code:s1" });
  assert.equal((await other.answer("run_command", run))["status"], "pending");
  assert.equal(first.asked.length, 1);
});
