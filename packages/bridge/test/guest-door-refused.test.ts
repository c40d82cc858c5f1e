import assert from "node:assert/strict";
import { test } from "node:test";
import { DoorwardError, TERMINAL_PROTOCOL, type Operation } from "@doorward/contracts";
import { OwnTime } from "../../../test/support/own-time.ts";
import { Client, attach, exec, refusal } from "./guest-door-client.ts";
import { ROOMY, gate } from "./guest-door-lab.ts";
import { newId, soon, until } from "./guest-harness.ts";

test("whoever may not type may not choose what a new terminal runs either", async () => {
  const silent = { operations: ["terminal.attach", "terminal.observe"] satisfies Operation[] };
  const programs = [{ argv: ["touch", "/tmp/ran"] }, { env: { PROMPT_COMMAND: "touch /tmp/ran" } }];
  for (const wanted of programs) {
    assert.equal(
      await refusal(await attach({ terminal: { new: wanted } }, silent)),
      "4403 OPERATION_NOT_GRANTED",
    );
  }
  using shell = await attach({ terminal: { new: {} } }, silent);
  await shell.until("ready", () => shell.find("ready") !== undefined);
  assert.equal(shell.find("ready")?.input, false);
});

test("a profile without terminals has none to observe", async () => {
  const spec = { ...ROOMY, attach: { ...ROOMY.attach, allowed: false } };
  using client = new Client(TERMINAL_PROTOCOL, { spec });
  await client.open({ type: "hello", mode: "observe", terminal: { id: newId("t") } });
  assert.equal(await refusal(client), "4403 DOOR_NOT_OFFERED");
});

test("what a grant does not hold is refused with its code", async () => {
  assert.equal(
    await refusal(await attach({}, { operations: ["terminal.observe"] })),
    "4403 OPERATION_NOT_GRANTED",
  );
  assert.equal(
    await refusal(await exec({ argv: ["true"] }, { operations: ["terminal.agent-exec"] })),
    "4403 OPERATION_NOT_GRANTED",
  );
  assert.equal(
    await refusal(await exec({ argv: ["true"] }, { kind: "agent", operations: ["terminal.exec"] })),
    "4403 OPERATION_NOT_GRANTED",
  );
  const silent = await attach({ terminal: { new: {} } }, { operations: ["terminal.attach"] });
  await silent.until("ready", () => silent.find("ready") !== undefined);
  assert.equal(silent.find("ready")?.input, false);
  silent.type("x");
  assert.equal(await refusal(silent), "4403 OPERATION_NOT_GRANTED");
});

test("what the profile does not offer is refused", async () => {
  const spec = structuredClone(ROOMY);
  spec.execution = { ...spec.execution, agent: false, maxConcurrent: 1 };
  spec.attach = { ...spec.attach, observers: false, maxViewers: 1 };
  assert.equal(
    await refusal(await exec({ argv: ["true"] }, { kind: "agent", spec })),
    "4403 DOOR_NOT_OFFERED",
  );
  using running = await exec({ argv: ["sleep", "5"] }, { spec });
  await running.until("start", () => running.find("started") !== undefined);
  assert.equal(await refusal(await exec({ argv: ["true"] }, { spec })), "4429 RATE_LIMITED");
  using terminal = await attach({}, { spec });
  await terminal.see("$ ");
  const id = terminal.find("ready")?.terminal;
  assert.equal(await refusal(await attach({ terminal: { id } }, { spec })), "4429 RATE_LIMITED");
  assert.equal(
    await refusal(await attach({ terminal: { id }, mode: "observe" }, { spec })),
    "4403 DOOR_NOT_OFFERED",
  );
});

test("an agent with every operation attaches and watches only where the profile says so", async () => {
  using shell = await attach();
  await shell.until("ready", () => shell.find("ready") !== undefined);
  const id = shell.find("ready")!.terminal;
  for (const agents of ["deny", "observe", "control"] as const) {
    const spec = { ...ROOMY, attach: { ...ROOMY.attach, agents } };
    const as = { kind: "agent", spec } as const;
    using watching = await attach({ terminal: { id }, mode: "observe" }, as);
    if (agents === "deny") assert.equal(await refusal(watching), "4403 DOOR_NOT_OFFERED");
    else await watching.until("ready", () => watching.find("ready") !== undefined);
    using typing = await attach({ terminal: { new: {} } }, as);
    if (agents === "control") await typing.until("ready", () => typing.find("ready") !== undefined);
    else assert.equal(await refusal(typing), "4403 DOOR_NOT_OFFERED");
  }
});

test("a revoked session is closed at once with its reason; its terminal lives on, its command dies", async () => {
  const revoked = new DoorwardError({ code: "GRANT_REVOKED", message: "revoked" });
  const terminal = await attach();
  await terminal.see("$ ");
  using since = new OwnTime();
  gate.cut(revoked);
  assert.deepEqual(await terminal.end(), { code: 4410, reason: "GRANT_REVOKED" });
  assert.ok(since.ms < 500);
  const id = terminal.find("ready")?.terminal;
  assert.ok((await gate.lab.link.terminals(soon())).some((info) => info.id === id && info.exit === null));
  gate.records = [];
  const command = await exec({ argv: ["sleep", "4242"] });
  await command.until("start", () => command.find("started") !== undefined);
  gate.cut(revoked);
  await command.end();
  await command.until("record", () => gate.records.length > 0);
  assert.ok(gate.records[0]?.type === "command" && gate.records[0].outcome === "cut");
  await until("no command is left", async () => (await gate.lab.link.health(soon())).commands === 0);
});
