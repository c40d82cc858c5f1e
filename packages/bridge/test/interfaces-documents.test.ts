import assert from "node:assert/strict";
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DEFAULT_AGENT_TOOL_DOOR, DEFAULT_TERMINAL_DOOR } from "@doorward/contracts";
import {
  type Documents,
  ROOTS,
  agentToolDocument,
  agentToolInterface,
  interfaceDocument,
  linuxOnly,
  load,
  profileDocumentOf,
  terminalDocument,
  writeDocument,
} from "./interfaces-lab.ts";
import { PolicyLab, refused } from "./policy-lab.ts";

type Bad = [string, Documents, RegExp, ("POLICY_INVALID" | "DOOR_NOT_BUILT")?, string?];

const bad: readonly Bad[] = [
  [
    "an unknown field",
    { "a.json": interfaceDocument({ sudo: true }) },
    /a\.json": \d+:\d+: sudo: unknown field/,
  ],
  ["an unknown type", { "a.json": { type: "RootDoor" } }, /type: "RootDoor" is none of/],
  ["a prototype as type", { "a.json": { type: "constructor" } }, /type: "constructor" is none of/],
  ["no type", { "a.json": {} }, /type: it is missing/],
  ["a list", { "a.json": [interfaceDocument()] }, /type: it is missing/],
  ["no text", { "a.json": "" }, /a\.json": 1:1/],
  ["two documents in one file", { "a.yaml": "type: TerminalDoor\n---\ntype: TerminalDoor\n" }, /a\.yaml/],
  ["a double key", { "a.json": '{"type":"TerminalDoor","type":"BrowserDoor"}' }, /unique/],
  ["an alias", { "a.yaml": "type: &a TerminalDoor\nname: *a\n" }, /(?:aliases|anchors) are not accepted/],
  ["a tag", { "a.yaml": "type: !!js/function TerminalDoor\n" }, /tag|Unresolved/],
  ["a future version", { "a.json": interfaceDocument({ specVersion: "9.0.0" }) }, /specVersion/],
  ["the URN of something else", { "a.json": interfaceDocument({ id: "urn:srcos:grant:x" }) }, / id: /],
  [
    "a default that permits",
    {
      "a.json": interfaceDocument({
        denialBehavior: { defaultDecision: "permit", onExpiry: "close", recordDenials: true },
      }),
    },
    /denialBehavior\.defaultDecision/,
  ],
  [
    "a default that asks, which nothing serves",
    {
      "a.json": interfaceDocument({
        denialBehavior: { defaultDecision: "ask", onExpiry: "close", recordDenials: true },
      }),
    },
    /denialBehavior\.defaultDecision/,
    "DOOR_NOT_BUILT",
  ],
  [
    "commands that leave no record",
    {
      "a.json": interfaceDocument({
        evidenceRequirements: { sessionOpen: "durable-before-open", sessionClose: true, commands: false },
      }),
    },
    /evidenceRequirements\.commands/,
  ],
  [
    "a transport that nothing serves",
    { "a.json": interfaceDocument({ transportMode: "native-messaging" }) },
    /transportMode: .*native-messaging/,
    "DOOR_NOT_BUILT",
  ],
  [
    "a profile that does not exist",
    { "a.json": interfaceDocument({ agentMachineProfileRef: "urn:srcos:agent-machine-profile:gone" }) },
    /agentMachineProfileRef: .*names no profile/,
  ],
  [
    "a door that does not exist",
    { "a.json": interfaceDocument({ doorRef: "urn:srcos:terminal-door:gone" }) },
    /doorRef: .*names no door/,
  ],
  [
    "the door of another profile",
    {
      "a.json": interfaceDocument({ doorRef: "urn:srcos:terminal-door:work" }),
      "p.json": profileDocumentOf(),
    },
    /doorRef: .* of the profile "work"/,
  ],
  [
    "the operation of another door",
    { "a.json": interfaceDocument({ allowedOperations: ["browser.navigate"] }) },
    /allowedOperations\[0\]: .*no operation of the terminal door/,
  ],
  [
    "a door kind that is not built",
    { "a.json": interfaceDocument({ interfaceKind: "browser", doorRef: "urn:srcos:browser-door:default" }) },
    /interfaceKind: this build has no browser door/,
    "DOOR_NOT_BUILT",
  ],
  [
    "a browser door",
    { "a.json": { type: "BrowserDoor" } },
    /type: this build has no door for "BrowserDoor"/,
    "DOOR_NOT_BUILT",
  ],
  [
    "an editor door",
    { "a.json": { type: "EditorDoor" } },
    /type: this build has no door for "EditorDoor"/,
    "DOOR_NOT_BUILT",
  ],
  [
    "two agent-tool doors of one profile",
    { "a.json": agentToolDocument(), "b.json": agentToolDocument({ id: "urn:srcos:agent-tool-door:b" }) },
    /b\.json": \d+:\d+: agentMachineProfileRef: .*is the agent-tool door of the same profile/,
  ],
  [
    "an agent-tool door of no profile",
    { "a.json": agentToolDocument({ agentMachineProfileRef: "urn:srcos:agent-machine-profile:gone" }) },
    /agentMachineProfileRef: .*names no profile/,
  ],
  [
    "an agent-tool door that policy.yaml has too",
    { "a.json": agentToolDocument({ hostMutationPolicy: "deny" }) },
    /has another agent-tool door/,
    "POLICY_INVALID",
    `${ROOTS}profiles: { default: { doors: { agent-tool: { toolIds: [codex] } } } }\n`,
  ],
  [
    "tools of plugins",
    { "a.json": agentToolDocument({ allowedOperations: ["agent-tool.read", "agent-tool.plugin"] }) },
    /allowedOperations\[1\]: "agent-tool\.plugin"/,
    "DOOR_NOT_BUILT",
  ],
  ...["RunArtifact", "SessionArtifact"].map((artifact): Bad => [
    `a required ${artifact}`,
    {
      "a.json": agentToolDocument({
        agentPlaneEvidence: {
          ...DEFAULT_AGENT_TOOL_DOOR.agentPlaneEvidence,
          artifacts: ["AgentMachineMountEvidence", artifact],
        },
      }),
    },
    new RegExp(`agentPlaneEvidence\\.artifacts\\[1\\]: this build leaves no "${artifact}"`),
    "DOOR_NOT_BUILT",
  ]),
  [
    "an allowance of a client that the door does not list",
    {
      "a.json": agentToolDocument({
        toolIds: ["codex"],
        toolAllowances: [{ toolId: "hermes", tools: ["read_file"] }],
      }),
    },
    /toolAllowances\[0\]\.toolId: "hermes" is none of its toolIds/,
  ],
  [
    "two allowances of one client",
    {
      "a.json": agentToolDocument({
        toolAllowances: [
          { toolId: "codex", tools: ["read_file"] },
          { toolId: "codex", tools: ["run_command"] },
        ],
      }),
    },
    /toolAllowances\[1\]\.toolId: "codex" has an entry already/,
  ],
  [
    "an allowed tool whose operation the door does not allow",
    {
      "a.json": agentToolDocument({
        allowedOperations: ["agent-tool.list", "agent-tool.read"],
        toolAllowances: [{ toolId: "codex", tools: ["read_file", "run_command"] }],
      }),
    },
    /toolAllowances\[0\]\.tools\[1\]: "run_command" needs "agent-tool\.exec"/,
  ],
  [
    "a tool that waits for approval and can't be called",
    {
      "a.json": agentToolDocument({
        allowedOperations: ["agent-tool.list", "agent-tool.read"],
        approvalRequired: ["write_file"],
      }),
    },
    /approvalRequired\[0\]: "write_file" needs "agent-tool\.write"/,
  ],
  [
    "an approval that waits for an approval",
    { "a.json": agentToolDocument({ approvalRequired: ["check_approval"] }) },
    /approvalRequired\[0\]: "check_approval"/,
  ],
  [
    "a registry grant of a client that the door does not list",
    {
      "a.json": agentToolDocument({
        toolIds: ["codex"],
        registryGrantRefs: [{ toolId: "ci-bot", grantRef: "grant://example/ci" }],
      }),
    },
    /registryGrantRefs\[0\]\.toolId: "ci-bot" is none of its toolIds/,
  ],
  [
    "two registry grants of one client",
    {
      "a.json": agentToolDocument({
        registryGrantRefs: [
          { toolId: "codex", grantRef: "grant://example/one" },
          { toolId: "codex", grantRef: "grant://example/two" },
        ],
      }),
    },
    /registryGrantRefs\[1\]\.toolId: "codex" has an entry already/,
  ],
  [
    "an unknown tool",
    { "a.json": agentToolDocument({ approvalRequired: ["rm_rf"] }) },
    /approvalRequired\[0\]/,
  ],
  [
    "a profile whose agent-tool door contradicts itself",
    {
      "p.json": profileDocumentOf({
        doors: {
          "agent-tool": {
            ...DEFAULT_AGENT_TOOL_DOOR,
            toolIds: ["codex"],
            toolAllowances: [{ toolId: "hermes", tools: [] }],
          },
        },
      }),
    },
    /p\.json": \d+:\d+: doors\.agent-tool\.toolAllowances\[0\]\.toolId/,
  ],
  [
    "agent tools through a transport that nothing serves",
    { "a.json": agentToolInterface({ transportMode: "loopback-websocket" }) },
    /transportMode: .*no agent-tool door through "loopback-websocket"; use unix-socket or loopback-http/,
    "DOOR_NOT_BUILT",
  ],
  [
    "an agent-tool interface of a terminal",
    { "a.json": agentToolInterface({ doorRef: "urn:srcos:terminal-door:default" }) },
    /doorRef: .*is the terminal door of the profile "default"/,
  ],
  [
    "an agent-tool interface with the operation of a terminal",
    { "a.json": agentToolInterface({ allowedOperations: ["agent-tool.read", "terminal.exec"] }) },
    /allowedOperations\[1\]: .*no operation of the agent-tool door/,
  ],
  [
    "an agent-tool interface with tools of plugins",
    { "a.json": agentToolInterface({ allowedOperations: ["agent-tool.plugin"] }) },
    /allowedOperations\[0\]: .*no operation of the agent-tool door/,
  ],
  [
    "two interface profiles for one door",
    {
      "a.json": interfaceDocument(),
      "b.yaml": JSON.stringify(interfaceDocument({ id: "urn:srcos:secure-host-interface:other" })),
    },
    /b\.yaml.*agentMachineProfileRef: .*a\.json" is for the same/,
  ],
  [
    "two documents with one URN",
    { "a.json": interfaceDocument(), "b.json": interfaceDocument({ hostAdapter: "macos" }) },
    /b\.json.* id: .*has the same id/,
  ],
  [
    "two terminal doors of one profile",
    { "a.json": terminalDocument(), "b.json": terminalDocument({ id: "urn:srcos:terminal-door:b" }) },
    /is the terminal door of the same profile/,
  ],
  [
    "a terminal door of no profile",
    { "a.json": terminalDocument({ agentMachineProfileRef: "urn:srcos:agent-machine-profile:gone" }) },
    /names no profile/,
  ],
  [
    "a terminal door without limits",
    { "a.json": terminalDocument({ attach: { allowed: true } }) },
    /attach\.maxTerminals/,
  ],
  [
    "endless scrollback",
    { "a.json": terminalDocument({ attach: { ...DEFAULT_TERMINAL_DOOR.attach, scrollbackBytes: 1e12 } }) },
    /attach\.scrollbackBytes/,
  ],
  [
    "another terminal door than the profile's own",
    {
      "a.json": terminalDocument({
        agentMachineProfileRef: "urn:srcos:agent-machine-profile:work",
        execution: { operator: false, agent: false, maxConcurrent: 1 },
      }),
      "p.json": profileDocumentOf(),
    },
    /a\.json.*has another terminal door/,
  ],
  [
    "a terminal door that policy.yaml has too",
    { "a.json": terminalDocument({ execution: { operator: false, agent: false, maxConcurrent: 1 } }) },
    /has another terminal door/,
    "POLICY_INVALID",
    `${ROOTS}profiles: { default: { doors: { terminal: { execution: { operator: true, agent: false, maxConcurrent: 2 } } } } }\n`,
  ],
  [
    "a profile that policy.yaml has too",
    { "p.json": profileDocumentOf() },
    /name: policy\.yaml defines the profile "work" too/,
    "POLICY_INVALID",
    `${ROOTS}profiles: { work: { home: tmpfs } }\n`,
  ],
  [
    "two profiles of one name",
    {
      "p.json": profileDocumentOf(),
      "q.json": profileDocumentOf({ id: "urn:srcos:agent-machine-profile:q" }),
    },
    /defines the same profile/,
  ],
  [
    "a profile whose name can't be one",
    { "p.json": profileDocumentOf({ name: "../work" }) },
    /name: .*not a profile's name/,
  ],
  [
    "a profile with a network",
    { "p.json": profileDocumentOf({ isolation: { network: "host", relaxations: [] } }) },
    /isolation\.network/,
  ],
  [
    "a profile with a glob that can't be",
    { "p.json": profileDocumentOf({ mounts: { defaultAccess: "rw", hide: ["../x"] } }) },
    /mounts\.hide\[0\]/,
  ],
  ["a file that is neither JSON nor YAML", { "a.jsonc": "{}" }, /a\.jsonc": its name ends with neither/],
];

for (const [what, documents, message, code = "POLICY_INVALID", policy] of bad) {
  test(`${what} is refused at load with file and field`, { skip: linuxOnly }, async () => {
    using lab = new PolicyLab();
    const error = await refused(load(lab, documents, policy), code);
    assert.match(error.message, message);
    assert.match(error.message, /^Cannot read document "[^"]+"/);
  });
}

test("a document of 10 MB is refused without reading it all", async () => {
  using lab = new PolicyLab();
  const error = await refused(load(lab, { "a.json": " ".repeat(10_000_000) }), "POLICY_INVALID");
  assert.match(error.message, /a\.json": it is larger than 262144 bytes/);
});

test("a symlinked document, a folder of that name, and a folder that is a symlink are refused", async () => {
  using lab = new PolicyLab();
  const folder = join(lab.configDir, "interfaces");
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(join(lab.base, "outside.json"), JSON.stringify(interfaceDocument()));
  symlinkSync(join(lab.base, "outside.json"), join(folder, "a.json"));
  assert.match((await refused(lab.policy(), "POLICY_INVALID")).message, /a\.json": it is a symlink/);
  rmSync(join(folder, "a.json"));
  mkdirSync(join(folder, "a.json"));
  assert.match((await refused(lab.policy(), "POLICY_INVALID")).message, /not a regular file/);
  rmSync(folder, { recursive: true });
  mkdirSync(join(lab.base, "elsewhere"));
  symlinkSync(join(lab.base, "elsewhere"), folder);
  assert.match((await refused(lab.policy(), "POLICY_INVALID")).message, /not a folder of its own/);
});

test("a document that others may write to is refused", async () => {
  using lab = new PolicyLab();
  chmodSync(writeDocument(lab.configDir, "a.json", interfaceDocument()), 0o666);
  assert.match((await refused(lab.policy(), "POLICY_INVALID")).message, /group or others may write/);
});
