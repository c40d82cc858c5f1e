import assert from "node:assert/strict";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AgentToolDoor,
  DEFAULT_TERMINAL_DOOR,
  DoorwardError,
  SecureHostInterfaceProfile,
  TerminalDoor,
} from "@doorward/contracts";
import { type PolicyEvent } from "../src/policy/index.ts";
import {
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

test("without documents everything is derived, and each derived document fits its contract", async () => {
  using lab = new PolicyLab();
  const policy = await lab.policy();
  const rows = policy.contracts();
  assert.deepEqual(
    rows.map(({ path, inForce, document }) => [path, inForce, document.type]),
    [
      [null, true, "AgentMachineProfile"],
      [null, true, "TerminalDoor"],
      [null, true, "AgentToolDoor"],
      [null, true, "SecureHostInterfaceProfile"],
      [null, true, "SecureHostInterfaceProfile"],
    ],
  );
  assert.equal(TerminalDoor.safeParse(rows[1]?.document).success, true);
  assert.equal(AgentToolDoor.safeParse(rows[2]?.document).success, true);
  for (const row of rows.slice(3))
    assert.equal(SecureHostInterfaceProfile.safeParse(row.document).success, true);
});

test("an interface profile narrows what grants may hold", { skip: linuxOnly }, async () => {
  using lab = new PolicyLab();
  const policy = await load(lab, { "a.json": interfaceDocument({ allowedOperations: ["terminal.exec"] }) });
  assert.deepEqual(policy.interfaceProfile("default", "terminal")?.allowedOperations, ["terminal.exec"]);
  const ask = { subject: "operator:ada", doors: ["terminal"], seconds: 60, profile: "default" } as const;
  assert.deepEqual(policy.decideGrant({ ...ask, operations: ["terminal.exec"] }), {
    rule: "policy.operator",
  });
  assert.throws(() => policy.decideGrant({ ...ask, operations: ["terminal.attach"] }), {
    code: "POLICY_DENIED",
    rule: "urn:srcos:secure-host-interface:test allowedOperations",
  });
});

test(
  "an agent-tool door document is in force, and its interface narrows it",
  { skip: linuxOnly },
  async () => {
    using lab = new PolicyLab();
    const policy = await load(lab, {
      "t.json": agentToolDocument({
        toolIds: ["codex"],
        allowedOperations: ["agent-tool.list", "agent-tool.read", "agent-tool.exec"],
      }),
      "i.json": agentToolInterface({
        doorRef: "urn:srcos:agent-tool-door:test",
        transportMode: "unix-socket",
        allowedOperations: ["agent-tool.read", "agent-tool.write"],
      }),
    });
    assert.deepEqual(policy.operations("default", "agent-tool"), ["agent-tool.read"]);
    assert.deepEqual(policy.profile("default").doors["agent-tool"]?.toolIds, ["codex"]);
    assert.equal(policy.interfaceProfile("default", "agent-tool")?.transportMode, "unix-socket");
    assert.equal(policy.interfaceProfile("default", "terminal")?.transportMode, "loopback-websocket");
    const row = policy
      .contracts()
      .find(({ document }) => document.id === "urn:srcos:secure-host-interface:test-tools");
    assert.match(row?.note ?? "", /not offered by the door: agent-tool\.write/);
  },
);

test("a profile document without an agent-tool door offers none", { skip: linuxOnly }, async () => {
  using lab = new PolicyLab();
  const policy = await load(lab, {
    "p.json": profileDocumentOf({ doors: { terminal: DEFAULT_TERMINAL_DOOR } }),
  });
  assert.deepEqual(policy.operations("work", "agent-tool"), []);
  assert.equal(policy.interfaceProfile("work", "agent-tool"), null);
});

test("an interface profile widens nothing that the door does not offer", { skip: linuxOnly }, async () => {
  using lab = new PolicyLab();
  const execution = { operator: true, agent: false, maxConcurrent: 4 };
  const attach = { ...DEFAULT_TERMINAL_DOOR.attach, observers: false };
  const policy = await load(lab, {
    "a.json": interfaceDocument({
      doorRef: "urn:srcos:terminal-door:test",
      allowedOperations: ["terminal.observe", "terminal.exec", "terminal.agent-exec"],
    }),
    "t.yaml": JSON.stringify(terminalDocument({ execution, attach })),
  });
  assert.deepEqual(policy.interfaceProfile("default", "terminal")?.allowedOperations, ["terminal.exec"]);
  const row = policy.contracts().find(({ document }) => document.type === "SecureHostInterfaceProfile");
  assert.match(row?.note ?? "", /not offered by the door: terminal\.observe, terminal\.agent-exec/);
});

test("an interface profile that leaves nothing over opens nothing", { skip: linuxOnly }, async () => {
  using lab = new PolicyLab();
  const policy = await load(lab, {
    "a.json": interfaceDocument({
      doorRef: "urn:srcos:terminal-door:test",
      allowedOperations: ["terminal.exec"],
    }),
    "t.json": terminalDocument({ execution: { operator: false, agent: false, maxConcurrent: 1 } }),
  });
  assert.equal(policy.interfaceProfile("default", "terminal"), null);
  assert.deepEqual(policy.operations("default", "terminal"), []);
});

test("an interface profile for another host is listed and not applied", { skip: linuxOnly }, async () => {
  using lab = new PolicyLab();
  const policy = await load(lab, {
    "mac.json": interfaceDocument({ hostAdapter: "macos", allowedOperations: ["terminal.exec"] }),
  });
  assert.ok(policy.operations("default", "terminal").includes("terminal.attach"));
  const row = policy.contracts().find(({ path }) => path !== null);
  assert.ok(row !== undefined);
  assert.equal(row.inForce, false);
  assert.match(row.note ?? "", /for hosts of the kind "macos"/);
});

test(
  "a profile of a document can be named by policy.yaml, and its door and interface by others",
  { skip: linuxOnly },
  async () => {
    using lab = new PolicyLab();
    const policy = await load(
      lab,
      {
        "p.json": profileDocumentOf({ doors: {} }),
        "t.json": terminalDocument({ agentMachineProfileRef: "urn:srcos:agent-machine-profile:work" }),
        "i.json": interfaceDocument({
          agentMachineProfileRef: "urn:srcos:agent-machine-profile:work",
          doorRef: "urn:srcos:terminal-door:test",
          allowedOperations: ["terminal.agent-exec"],
        }),
      },
      "version: 1\nroots: [{ path: ~/src, access: rw, profiles: [work] }]\n",
    );
    assert.deepEqual(policy.profileNames(), ["default", "work"]);
    assert.equal(policy.profile("work").id, "urn:srcos:agent-machine-profile:work");
    assert.deepEqual(policy.operations("work", "terminal"), ["terminal.agent-exec"]);
    assert.ok(policy.operations("default", "terminal").length > 1);
  },
);

test("a profile without a door offers none", async () => {
  using lab = new PolicyLab();
  const policy = await load(lab, { "p.json": profileDocumentOf({ doors: {} }) });
  assert.equal(policy.interfaceProfile("work", "terminal"), null);
});

test(
  "every document counts in the policy's hash, its file's name does not",
  { skip: linuxOnly },
  async () => {
    using lab = new PolicyLab();
    const before = (await lab.policy()).hash;
    const path = writeDocument(lab.configDir, "a.json", interfaceDocument());
    const policy = await lab.policy();
    assert.notEqual(policy.hash, before);
    renameSync(path, join(lab.configDir, "interfaces", "b.yaml"));
    assert.equal(await policy.reload(), false);
    writeDocument(lab.configDir, "b.yaml", interfaceDocument({ transportMode: "unix-socket" }));
    assert.equal(await policy.reload(), true);
    rmSync(join(lab.configDir, "interfaces"), { recursive: true });
    await policy.reload();
    assert.equal(policy.hash, before);
  },
);

test(
  "documents are watched, and a bad one leaves the last good policy in force",
  { skip: linuxOnly },
  async () => {
    using lab = new PolicyLab();
    const policy = await lab.policy();
    const events: PolicyEvent[] = [];
    policy.onEvent((event) => events.push(event));
    const abort = new AbortController();
    await policy.watch(abort.signal);
    try {
      const until = async (holds: () => boolean): Promise<void> => {
        for (let round = 0; !holds() && round < 12_000; round += 1) await sleep(10);
        assert.ok(holds(), JSON.stringify(events));
      };
      writeDocument(lab.configDir, "a.json", interfaceDocument({ allowedOperations: ["terminal.exec"] }));
      await until(() => policy.operations("default", "terminal").length === 1);
      writeDocument(lab.configDir, "a.json", { type: "BrowserDoor" });
      await until(() => policy.problem?.code === "DOOR_NOT_BUILT");
      assert.deepEqual(policy.operations("default", "terminal"), ["terminal.exec"]);
      await refused(policy.allow(lab.src, "ro"), "DOOR_NOT_BUILT");
      writeDocument(lab.configDir, "a.json", interfaceDocument({ allowedOperations: ["terminal.attach"] }));
      await until(() => policy.operations("default", "terminal")[0] === "terminal.attach");
      assert.equal(policy.problem, null);
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ["changed", "problem", "changed"],
      );
    } finally {
      abort.abort();
    }
  },
);

test("the contracts' own examples for this host load together", { skip: linuxOnly }, async () => {
  using lab = new PolicyLab();
  const folder = join(lab.configDir, "interfaces");
  mkdirSync(folder, { mode: 0o700 });
  const examples = new URL("../../contracts/examples/", import.meta.url);
  for (const [type, name] of [
    ["AgentMachineProfile", "linux-podman-default.json"],
    ["TerminalDoor", "linux-default.json"],
    ["SecureHostInterfaceProfile", "linux-terminal.json"],
    ["AgentToolDoor", "linux-default.json"],
    ["SecureHostInterfaceProfile", "linux-agent-tool.json"],
  ] as const) {
    copyFileSync(new URL(`${type}/valid/${name}`, examples), join(folder, `${type}-${name}`));
    chmodSync(join(folder, `${type}-${name}`), 0o600);
  }
  const policy = await lab.policy().catch((error: unknown) => {
    throw error instanceof DoorwardError ? new Error(error.message) : error;
  });
  assert.equal(policy.interfaceProfile("linux-podman-default", "terminal")?.transportMode, "unix-socket");
  assert.equal(policy.interfaceProfile("linux-podman-default", "agent-tool")?.transportMode, "loopback-http");
  assert.equal(readdirSync(folder).length, 5);
});
