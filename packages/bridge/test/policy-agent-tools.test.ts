import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DEFAULT_AGENT_TOOL_DOOR,
  type AgentToolDoorSpec,
  type Operation,
  type ToolName,
} from "@doorward/contracts";
import type { PolicyFile } from "../src/policy/index.ts";
import { PolicyLab, refused } from "./policy-lab.ts";

const OPERATIONS =
  "agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec, agent-tool.host-action";
const TEXT = `version: 1
roots: []
profiles:
  reading: { doors: { agent-tool: { allowedOperations: [agent-tool.list, agent-tool.read] } } }
  listed: { doors: { agent-tool: { toolIds: [codex, ci-bot] } } }
  allowance: { doors: { agent-tool: { toolAllowances: [{ toolId: codex, tools: [read_file, git_diff] }] } } }
  registry: { doors: { agent-tool: { registryGrantRefs: [{ toolId: codex, grantRef: "grant://example/codex" }] } } }
  sealed: { doors: { agent-tool: { hostMutationPolicy: deny } } }
grants:
  - { to: "agent:codex:*", doors: [agent-tool], operations: [${OPERATIONS}], for: 8h }
  - { to: "agent:hermes:*", doors: [agent-tool], operations: [${OPERATIONS}], for: 8h }
  - { to: "agent:other:*", doors: [agent-tool], operations: [${OPERATIONS}], for: 8h }
  - { to: "ci:*", doors: [agent-tool], operations: [agent-tool.list, agent-tool.read], for: 1h }
`;

interface Wanted {
  readonly subject?: string;
  readonly profile?: string;
  readonly operations?: readonly Operation[];
  readonly tools?: readonly ToolName[];
  readonly agentTool?: AgentToolDoorSpec | null;
}

function decide(policy: PolicyFile, wanted: Wanted): string {
  const ask = {
    subject: "agent:codex:s1",
    profile: "default",
    operations: ["agent-tool.read", "agent-tool.exec"] as const,
    doors: ["agent-tool"] as const,
    seconds: 60,
    ...wanted,
  };
  return policy.decideGrant(ask).rule;
}

async function withPolicy(check: (policy: PolicyFile) => void): Promise<void> {
  using lab = new PolicyLab();
  check(await lab.policy(TEXT));
}

test("an agent is granted tools by the rule that names it, and by nothing else", () =>
  withPolicy((policy) => {
    assert.equal(decide(policy, {}), "policy.grants[0]");
    assert.equal(decide(policy, { subject: "agent:hermes:1" }), "policy.grants[1]");
    assert.equal(decide(policy, { subject: "operator:ada" }), "policy.operator");
    for (const subject of ["agent:claude-code:1", "agent:codexx:1", "plugin:codex"])
      assert.throws(() => decide(policy, { subject }), { code: "POLICY_DENIED", rule: "policy.grants" });
    assert.throws(() => decide(policy, { subject: "ci:nightly" }), { code: "GRANT_TOO_WIDE" });
  }));

test("a policy without rules grants agent tools to nobody but the operator", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  assert.equal(decide(policy, { subject: "operator:ada" }), "policy.operator");
  for (const subject of ["agent:codex:s1", "agent:local-shell:s1", "ci:nightly"])
    assert.throws(() => decide(policy, { subject }), { code: "POLICY_DENIED", rule: "policy.grants" });
});

const refusals: readonly [string, Wanted, string, RegExp][] = [
  [
    "an operation that the door does not allow",
    { profile: "reading" },
    "policy.profiles.reading.doors",
    /Cannot grant "agent-tool\.exec": the profile "reading" does not offer it/,
  ],
  [
    "a kind of client that the door does not list",
    { profile: "listed", subject: "agent:hermes:1" },
    "agent-tool.toolIds",
    /Cannot grant agent tools to "agent:hermes:1": "hermes" is none of codex, ci-bot/,
  ],
  [
    "the operator, where the door does not list local-shell",
    { profile: "listed", subject: "operator:ada" },
    "agent-tool.toolIds",
    /"local-shell" is none of/,
  ],
  [
    "a client of no known kind, though a rule names it",
    { subject: "agent:other:1" },
    "agent-tool.toolIds",
    /no kind of client that the door knows/,
  ],
  [
    "a tool that is not among those allowed to the client",
    { profile: "allowance", tools: ["read_file", "run_command"] },
    "agent-tool.toolAllowances",
    /Cannot grant "run_command" to "agent:codex:s1": "codex" may call read_file, git_diff alone/,
  ],
  [
    "a client without a grant of the registry",
    { profile: "registry", subject: "agent:hermes:1" },
    "agent-tool.registryGrantRefs",
    /"hermes" has no grant of the Agent Registry/,
  ],
  [
    "a tool that changes the host where that is denied",
    { profile: "sealed", operations: ["agent-tool.host-action"], tools: ["host_run_command"] },
    "agent-tool.hostMutationPolicy",
    /lets no tool change the host/,
  ],
  [
    "a machine that was launched without an agent-tool door",
    { agentTool: null },
    "profile.doors.agent-tool",
    /has no agent-tool door/,
  ],
  [
    "an operation that the machine's door in force lacks, though its profile has it by now",
    { agentTool: { ...DEFAULT_AGENT_TOOL_DOOR, allowedOperations: ["agent-tool.read"] } },
    "agent-tool.allowedOperations",
    /Cannot grant "agent-tool\.exec"/,
  ],
];

for (const [what, wanted, rule, message] of refusals) {
  test(`${what} is refused with the rule and the reason`, () =>
    withPolicy((policy) => {
      assert.throws(() => decide(policy, wanted), { rule, message });
    }));
}

test("what the door allows beside its refusals is granted", () =>
  withPolicy((policy) => {
    assert.equal(
      decide(policy, { profile: "allowance", tools: ["read_file"], operations: ["agent-tool.read"] }),
      "policy.grants[0]",
    );
    assert.equal(decide(policy, { profile: "registry" }), "policy.grants[0]");
    assert.equal(
      decide(policy, { profile: "listed", subject: "ci:nightly", operations: ["agent-tool.read"] }),
      "policy.grants[3]",
    );
    assert.equal(
      decide(policy, {
        profile: "sealed",
        operations: ["agent-tool.host-action"],
        tools: ["host_clipboard_read"],
      }),
      "policy.grants[0]",
    );
  }));

const bad: readonly [string, string, RegExp, ("POLICY_INVALID" | "DOOR_NOT_BUILT")?][] = [
  [
    "tools of plugins",
    "{ allowedOperations: [agent-tool.plugin] }",
    /4:\d+: profiles\.p\.doors\.agent-tool\.allowedOperations\[0\]/,
    "DOOR_NOT_BUILT",
  ],
  [
    "evidence that nothing leaves",
    "{ agentPlaneEvidence: { required: true, artifacts: [RunArtifact], policyDecisionRequired: true, toolCalls: true } }",
    /agentPlaneEvidence\.artifacts\[0\]/,
    "DOOR_NOT_BUILT",
  ],
  [
    "an allowance of a client that is not listed",
    "{ toolIds: [codex], toolAllowances: [{ toolId: hermes, tools: [] }] }",
    /toolAllowances\[0\]\.toolId: "hermes" is none of its toolIds/,
  ],
  [
    "a tool whose operation is left out",
    "{ allowedOperations: [agent-tool.read], approvalRequired: [run_command] }",
    /approvalRequired\[0\]: "run_command" needs "agent-tool\.exec"/,
  ],
  ["an unknown field", "{ allowEverything: true }", /unknown field "allowEverything"/],
  ["an unknown tool", "{ approvalRequired: [rm] }", /approvalRequired\[0\]/],
  ["no clients at all", "{ toolIds: [] }", /toolIds/],
];

for (const [what, door, message, code = "POLICY_INVALID"] of bad) {
  test(`a policy whose agent-tool door has ${what} is refused with the field`, async () => {
    using lab = new PolicyLab();
    const text = `version: 1\nroots: []\nprofiles:\n  p: { doors: { agent-tool: ${door} } }\n`;
    assert.match((await refused(lab.policy(text), code)).message, message);
  });
}

test("what a policy says of the agent-tool door is joined with the default", () =>
  withPolicy((policy) => {
    assert.deepEqual(policy.profile("listed").doors["agent-tool"], {
      ...DEFAULT_AGENT_TOOL_DOOR,
      toolIds: ["codex", "ci-bot"],
    });
  }));
