import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DEFAULT_AGENT_TOOL_DOOR,
  TOOL_NAMES,
  type AgentToolDoorSpec,
  type Operation,
  type ToolName,
} from "@doorward/contracts";
import { allowanceOf, hostMutation, toolIdOf, type Allowance } from "../src/agent-tool/allowance.ts";

const ALL: readonly Operation[] = [
  "agent-tool.list",
  "agent-tool.read",
  "agent-tool.write",
  "agent-tool.exec",
  "agent-tool.egress",
  "agent-tool.host-action",
];

interface Given {
  readonly subject?: string;
  readonly operations?: readonly Operation[];
  readonly tools?: readonly ToolName[];
  readonly door?: Partial<AgentToolDoorSpec> | null;
}

function ask(tool: ToolName, given: Given = {}): Allowance {
  return allowanceOf(
    {
      subject: given.subject ?? "agent:codex:s1",
      operations: new Set(given.operations ?? ALL),
      tools: given.tools === undefined ? null : new Set(given.tools),
      agentTool: given.door === null ? null : { ...DEFAULT_AGENT_TOOL_DOOR, ...given.door },
    },
    tool,
  );
}

function ruleOf(allowance: Allowance): string | null {
  return allowance.allowed ? null : allowance.rule;
}

test("a subject tells the kind of client, and nothing else does", () => {
  const kinds = [
    ["agent:codex:s1", "codex"],
    ["agent:claude-code:1", "claude-code"],
    ["agent:github-bot:run.7", "github-bot"],
    ["ci:nightly", "ci-bot"],
    ["operator:anna", "local-shell"],
    ["agent:codex", "codex"],
    ["agent:codexx:s1", null],
    ["agent:toString:s1", null],
    ["plugin:codex", null],
    ["codex", null],
    ["", null],
  ] as const;
  for (const [subject, id] of kinds) assert.equal(toolIdOf(subject), id, subject);
});

test("every tool of the default door may be called with every operation", () => {
  for (const tool of TOOL_NAMES) assert.deepEqual(ask(tool), { allowed: true, registryGrant: null }, tool);
});

test("without a door in force no tool may be called", () => {
  for (const tool of TOOL_NAMES) assert.equal(ruleOf(ask(tool, { door: null })), "profile.doors.agent-tool");
});

test("a client of no known kind is refused", () => {
  for (const subject of ["plugin:x", "agent:other:1", "nobody"])
    assert.equal(ruleOf(ask("read_file", { subject })), "agent-tool.toolIds");
});

test("a client that the door does not list is refused, and the refusal names those that it lists", () => {
  const answer = ask("read_file", { door: { toolIds: ["hermes", "openclaw"] } });
  assert.deepEqual(answer, {
    allowed: false,
    rule: "agent-tool.toolIds",
    message: '"codex" is none of hermes, openclaw',
  });
});

test("a tool whose operation the grant lacks is refused, whatever tools the grant names", () => {
  const operations: readonly Operation[] = ["agent-tool.list", "agent-tool.read"];
  for (const tool of ["write_file", "run_command", "command_output", "host_run_command"] as const)
    assert.equal(ruleOf(ask(tool, { operations, tools: [tool] })), "grant.operations");
  assert.equal(ask("read_file", { operations }).allowed, true);
});

test("a tool whose operation the door does not offer is refused", () => {
  assert.equal(
    ruleOf(ask("write_file", { door: { allowedOperations: ["agent-tool.read"] } })),
    "agent-tool.allowedOperations",
  );
});

test("a grant that names tools holds no other", () => {
  assert.equal(ask("read_file", { tools: ["read_file"] }).allowed, true);
  assert.equal(ruleOf(ask("search_files", { tools: ["read_file"] })), "grant.tools");
  assert.equal(ruleOf(ask("read_file", { tools: [] })), "grant.tools");
});

test("a client with an allowance calls the tools of it alone; one that is not listed calls all", () => {
  const toolAllowances = [{ toolId: "codex" as const, tools: ["read_file" as const] }];
  assert.equal(ask("read_file", { door: { toolAllowances } }).allowed, true);
  assert.equal(ruleOf(ask("run_command", { door: { toolAllowances } })), "agent-tool.toolAllowances");
  assert.equal(ask("run_command", { door: { toolAllowances }, subject: "agent:hermes:1" }).allowed, true);
});

test("an allowance without tools refuses every tool but the one that tells what became of a call", () => {
  const toolAllowances = [{ toolId: "codex" as const, tools: [] }];
  for (const tool of TOOL_NAMES.filter((name) => name !== "check_approval"))
    assert.equal(ruleOf(ask(tool, { door: { toolAllowances } })), "agent-tool.toolAllowances");
  assert.equal(ask("check_approval", { door: { toolAllowances }, tools: ["read_file"] }).allowed, true);
  assert.equal(ruleOf(ask("check_approval", { operations: ["agent-tool.exec"] })), "grant.operations");
});

test("where a registry is used, a client without a grant of it is refused and others are told theirs", () => {
  const registryGrantRefs = [{ toolId: "hermes" as const, grantRef: "grant://agents/hermes" }];
  assert.equal(ruleOf(ask("read_file", { door: { registryGrantRefs } })), "agent-tool.registryGrantRefs");
  const hermes = ask("read_file", { door: { registryGrantRefs }, subject: "agent:hermes:1" });
  assert.deepEqual(hermes, { allowed: true, registryGrant: "grant://agents/hermes" });
});

test("a door that denies changes of the host refuses those tools and keeps the others", () => {
  const door = { hostMutationPolicy: "deny" } as const;
  for (const tool of [
    "host_clipboard_write",
    "host_hosts_write",
    "host_change_files",
    "host_run_command",
    "host_run_workflow",
  ] as const)
    assert.equal(ruleOf(ask(tool, { door })), "agent-tool.hostMutationPolicy", tool);
  for (const tool of ["host_clipboard_read", "write_file", "run_command", "request_egress"] as const)
    assert.equal(ask(tool, { door }).allowed, true, tool);
});

test("what a host action needs follows from the door's host mutation policy alone", () => {
  const of = (hostMutationPolicy: AgentToolDoorSpec["hostMutationPolicy"], tool: ToolName) =>
    hostMutation({ ...DEFAULT_AGENT_TOOL_DOOR, hostMutationPolicy }, tool);
  assert.equal(of("deny", "host_run_command"), "refused");
  assert.equal(of("dry-run-only", "host_run_command"), "dry-run");
  assert.equal(of("approval-required", "host_run_command"), "ask");
  assert.equal(of("preapproved", "host_run_command"), "scopes");
  assert.equal(of("deny", "host_clipboard_read"), "scopes");
  assert.equal(of("approval-required", "run_command"), "scopes");
});
