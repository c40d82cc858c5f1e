import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DEFAULT_AGENT_TOOL_DOOR,
  DEFAULT_PROFILE,
  profileDocument,
  type AgentToolDoorSpec,
  type Operation,
} from "@doorward/contracts";
import fc from "fast-check";
import { agentToolInForce } from "../src/daemon/door-in-force.ts";
import { machineReach } from "../src/daemon/machine-reach.ts";
import { narrowedAgentTool } from "../src/interfaces/index.ts";
import type { MachineRecord } from "../src/machines/life/index.ts";
import { fits, withToolsInForce, type AllowedRequest } from "../src/machines/life/request.ts";
import { agentToolInterface, writeDocument } from "./interfaces-lab.ts";
import { machineRecord, REPO } from "./machine-record.ts";
import { PolicyLab } from "./policy-lab.ts";

const DOOR = DEFAULT_AGENT_TOOL_DOOR;

function door(over: Partial<AgentToolDoorSpec> = {}): AgentToolDoorSpec {
  return { ...DOOR, ...over };
}

test("a narrowed door allows only what both allow", () => {
  const narrowed = narrowedAgentTool(
    door({
      toolIds: ["codex", "hermes"],
      allowedOperations: ["agent-tool.read", "agent-tool.exec"],
      toolAllowances: [{ toolId: "codex", tools: ["read_file", "run_command"] }],
      approvalRequired: ["run_command"],
      hostMutationPolicy: "preapproved",
    }),
    door({
      toolIds: ["codex", "ci-bot"],
      allowedOperations: ["agent-tool.read", "agent-tool.write"],
      toolAllowances: [{ toolId: "codex", tools: ["read_file", "git_diff"] }],
      approvalRequired: ["read_file"],
      hostMutationPolicy: "deny",
    }),
  );
  assert.deepEqual(narrowed, {
    ...DOOR,
    toolIds: ["codex"],
    allowedOperations: ["agent-tool.read"],
    toolAllowances: [{ toolId: "codex", tools: ["read_file"] }],
    approvalRequired: ["run_command", "read_file"],
    hostMutationPolicy: "deny",
  });
});

test("a door of which nothing is left is none", () => {
  assert.equal(narrowedAgentTool(door({ toolIds: ["codex"] }), door({ toolIds: ["hermes"] })), null);
  const read = door({ allowedOperations: ["agent-tool.read"] });
  assert.equal(narrowedAgentTool(read, door({ allowedOperations: ["agent-tool.exec"] })), null);
});

test("an allowance that one of two doors has is kept, also one without tools", () => {
  const toolAllowances = [{ toolId: "codex" as const, tools: [] }];
  assert.deepEqual(narrowedAgentTool(door({ toolAllowances }), door())?.toolAllowances, toolAllowances);
  assert.deepEqual(narrowedAgentTool(door(), door({ toolAllowances }))?.toolAllowances, toolAllowances);
});

test("clients without a registry grant in either door are gone, and no list of grants ever becomes empty again", () => {
  const codex = [{ toolId: "codex" as const, grantRef: "grant://example/codex" }];
  const hermes = [{ toolId: "hermes" as const, grantRef: "grant://example/hermes" }];
  const both = [...codex, ...hermes];
  assert.deepEqual(narrowedAgentTool(door({ registryGrantRefs: codex }), door())?.toolIds, ["codex"]);
  assert.deepEqual(narrowedAgentTool(door(), door({ registryGrantRefs: hermes }))?.toolIds, ["hermes"]);
  const kept = narrowedAgentTool(door({ registryGrantRefs: both }), door({ registryGrantRefs: codex }));
  assert.deepEqual([kept?.toolIds, kept?.registryGrantRefs], [["codex"], codex]);
  assert.equal(
    narrowedAgentTool(door({ registryGrantRefs: codex }), door({ registryGrantRefs: hermes })),
    null,
  );
  assert.deepEqual(narrowedAgentTool(door({ registryGrantRefs: codex }), door())?.registryGrantRefs, codex);
});

test("the host is changed by the stricter of two policies", () => {
  const order = ["deny", "dry-run-only", "approval-required", "preapproved"] as const;
  for (const [one, first] of order.entries())
    for (const [other, second] of order.entries()) {
      const narrowed = narrowedAgentTool(
        door({ hostMutationPolicy: first }),
        door({ hostMutationPolicy: second }),
      );
      assert.equal(narrowed?.hostMutationPolicy, order[Math.min(one, other)]);
    }
});

function record(agentTool: AgentToolDoorSpec | undefined, profile = "default"): MachineRecord {
  const { "agent-tool": _default, ...doors } = DEFAULT_PROFILE.doors;
  const spec = {
    ...DEFAULT_PROFILE,
    doors: agentTool === undefined ? doors : { ...doors, "agent-tool": agentTool },
  };
  return machineRecord({ profile: profileDocument(profile, spec), repos: REPOS });
}

const REPOS = [REPO, { ...REPO, hostPath: "/srv/lib", machinePath: "/workspace/lib", access: "ro" as const }];

test("a machine that was launched without the door has none, whatever the policy says by now", async () => {
  using lab = new PolicyLab();
  assert.equal(agentToolInForce(await lab.policy(), record(undefined)), null);
});

test("a running machine keeps the door of its launch, made narrower where the policy is", async () => {
  using lab = new PolicyLab();
  const written = (text: string) =>
    `version: 1\nroots: []\nprofiles: { default: { doors: { agent-tool: { ${text} } } } }\n`;
  const launched = record(door({ toolIds: ["codex", "hermes"] }));
  const policy = await lab.policy(written("toolIds: [codex, ci-bot]"));
  assert.deepEqual(agentToolInForce(policy, launched)?.toolIds, ["codex"]);
  assert.equal(agentToolInForce(await lab.policy(written("toolIds: [ci-bot]")), launched), null);
  assert.deepEqual(agentToolInForce(await lab.policy(), record(door(), "gone")), DOOR);
});

test(
  "an interface profile narrows the door of a running machine, and can close it",
  { skip: process.platform === "linux" ? false : "the documents are for Linux" },
  async () => {
    using lab = new PolicyLab();
    writeDocument(lab.configDir, "i.json", agentToolInterface({ allowedOperations: ["agent-tool.read"] }));
    const policy = await lab.policy();
    assert.deepEqual(agentToolInForce(policy, record(door()))?.allowedOperations, ["agent-tool.read"]);
    const writing = record(door({ allowedOperations: ["agent-tool.write"] }));
    assert.equal(agentToolInForce(policy, writing), null);
  },
);

test("a machine that differs in its agent-tool door alone is the one that is asked for, and another is not", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const wanted = (over: object = {}) => ({
    request: { repos: [], ...over },
    profile: policy.profile("default"),
    repos: REPOS.map(({ hostPath, access }) => ({ resolved: hostPath, access })),
  });
  const asked = (over?: object) => wanted(over) as unknown as AllowedRequest;
  assert.equal(fits(record(door()), asked()), true);
  assert.equal(fits(record(undefined), asked()), true, "one of an older build");
  assert.equal(fits(record(door({ hostMutationPolicy: "deny" })), asked()), true);
  const terminal = { ...DEFAULT_PROFILE.doors.terminal, attach: { allowed: false } };
  const other = record(door());
  const changed = { ...other, profile: { ...other.profile, doors: { terminal } } };
  assert.equal(fits(changed as unknown as MachineRecord, asked()), false);
  assert.equal(fits({ ...other, profile: { ...other.profile, home: "tmpfs" } }, asked()), false);
  assert.equal(fits(other, asked({ name: "other" })), false);
});

test("a machine is launched again with the agent-tool door that its profile has by now", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const { profile } = record(undefined);
  assert.deepEqual(withToolsInForce(policy, profile).doors, { ...profile.doors, "agent-tool": DOOR });
  const gone = record(undefined, "gone").profile;
  assert.deepEqual(withToolsInForce(policy, gone), gone);
});

const FILES: readonly Operation[] = ["agent-tool.list", "agent-tool.read", "agent-tool.write"];
const HOST_PATHS = REPOS.map(({ hostPath }) => hostPath);

test("a grant on all repos reaches each with the access of its mount", () => {
  assert.deepEqual(machineReach(record(door()).repos, HOST_PATHS, FILES), {
    workdir: "/workspace/app",
    folders: [
      { path: "/workspace/app", access: "rw" },
      { path: "/workspace/lib", access: "ro" },
    ],
    narrowed: false,
  });
});

test("a grant that runs commands reaches the whole machine", () => {
  const reach = machineReach(record(door()).repos, HOST_PATHS, [...FILES, "agent-tool.exec"]);
  assert.deepEqual(reach.folders, [{ path: "/", access: "rw" }]);
});

test("a narrower grant reaches its folders alone, and starts in the first of them", () => {
  const { repos } = record(door());
  assert.deepEqual(machineReach(repos, ["/srv/app/src", "/srv/app/docs"], FILES), {
    workdir: "/workspace/app/src",
    folders: [
      { path: "/workspace/app/src", access: "rw" },
      { path: "/workspace/app/docs", access: "rw" },
    ],
    narrowed: true,
  });
  assert.deepEqual(machineReach(repos, ["/srv/lib"], FILES), {
    workdir: "/workspace/lib",
    folders: [{ path: "/workspace/lib", access: "ro" }],
    narrowed: true,
  });
});

test("nothing is writable for a grant without agent-tool.write", () => {
  const { folders } = machineReach(record(door()).repos, HOST_PATHS, ["agent-tool.read"]);
  assert.deepEqual(
    folders.map(({ access }) => access),
    ["ro", "ro"],
  );
});

test("paths outside of the repos, and names that only begin like one, reach nothing", () => {
  const { repos } = record(door());
  for (const path of ["/srv/application", "/etc", "/srv/ap", "/workspace/app"]) {
    const reach = machineReach(repos, [path], FILES);
    assert.deepEqual(reach.folders, [], path);
    assert.equal(reach.narrowed, true);
  }
  assert.deepEqual(machineReach(repos, [], FILES).folders, []);
});

test("whatever is granted, what is reached lies in a repo and has no more access than its mount", () => {
  const { repos } = record(door());
  const path = fc.constantFrom(
    "/srv/app",
    "/srv/app/a",
    "/srv/app/a/b",
    "/srv/lib",
    "/srv/lib/x",
    "/srv",
    "/",
    "/etc",
  );
  fc.assert(
    fc.property(fc.array(path, { maxLength: 4 }), fc.subarray([...FILES]), (granted, operations) => {
      for (const { path: reached, access } of machineReach(repos, granted, operations).folders) {
        const repo = repos.find(({ machinePath }) => `${reached}/`.startsWith(`${machinePath}/`));
        assert.ok(repo !== undefined, reached);
        assert.ok(access === "ro" || (repo.access === "rw" && operations.includes("agent-tool.write")));
      }
    }),
  );
});
