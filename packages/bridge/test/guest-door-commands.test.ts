import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EXEC_PROTOCOL, WIRE_KIND, encodeBytes } from "@doorward/contracts";
import { Client, exec, refusal } from "./guest-door-client.ts";
import { gate } from "./guest-door-lab.ts";
import { settled } from "./guest-harness.ts";

test("a command over WebSocket: stdout, stderr, exit code, and a record that tells agent from operator", async () => {
  gate.records = [];
  using client = await exec(
    { argv: ["bash", "-c", "echo out; echo err >&2; exit 3"], cwd: "/tmp", env: { A: "b" } },
    { kind: "agent" },
  );
  assert.deepEqual(await client.end(), { code: 1000, reason: "CLOSED" });
  assert.deepEqual(
    [client.output.toString(), client.stderr.toString(), client.find("exit")?.code],
    ["out\n", "err\n", 3],
  );
  const [record] = gate.records;
  assert.ok(record?.type === "command");
  assert.deepEqual(
    [record.execution, record.outcome, record.exitCode, record.stdoutBytes, record.stderrBytes, record.cwd],
    ["agent", "exited", 3, 4, 4, "/tmp"],
  );
});

test("stdin passes within its window and no further", async () => {
  using client = await exec({ argv: ["sha256sum"], stdin: true });
  await client.until("start", () => client.find("started") !== undefined);
  let room = client.find("started")?.stdinWindow ?? 0;
  let used = 0;
  const bytes = Buffer.alloc(3_000_000, "doorward");
  for (let at = 0; at < bytes.length;) {
    const credit = client.messages.reduce(
      (sum, message) => sum + (message.type === "stdin-credit" ? message.bytes : 0),
      0,
    );
    const size = Math.min(65_536, bytes.length - at, room + credit - used);
    if (size > 0) client.socket.send(encodeBytes(WIRE_KIND.stdin, bytes.subarray(at, at + size)));
    at += size;
    used += size;
    if (size === 0) await sleep(2);
  }
  client.send({ type: "stdin-end" });
  await client.end();
  const { createHash } = await import("node:crypto");
  assert.equal(client.output.toString().slice(0, 64), createHash("sha256").update(bytes).digest("hex"));
  const greedy = await exec({ argv: ["sleep", "9"], stdin: true });
  await greedy.until("start", () => greedy.find("started") !== undefined);
  room = greedy.find("started")?.stdinWindow ?? 0;
  for (let sent = 0; sent <= room; sent += 65_536)
    greedy.socket.send(encodeBytes(WIRE_KIND.stdin, Buffer.alloc(65_536)));
  assert.equal(await refusal(greedy), "4400 PROTOCOL_ERROR");
  const unasked = await exec({ argv: ["sleep", "9"] });
  await unasked.until("start", () => unasked.find("started") !== undefined);
  unasked.socket.send(encodeBytes(WIRE_KIND.stdin, Buffer.from("x")));
  assert.equal(await refusal(unasked), "4400 PROTOCOL_ERROR");
});

test("a signal ends a command, and the client hears which", async () => {
  using client = await exec({ argv: ["sleep", "60"] });
  await client.until("start", () => client.find("started") !== undefined);
  client.send({ type: "signal", signal: "SIGINT" });
  await client.end();
  assert.deepEqual([client.find("exit")?.code, client.find("exit")?.signal], [null, "SIGINT"]);
});

test("a command whose client does not acknowledge is held", async () => {
  const client = new Client(EXEC_PROTOCOL);
  client.autoAck = false;
  await client.open({ type: "exec", argv: ["cat", "/dev/zero"], window: 65_536 });
  await client.until("its first bytes", () => client.total > 0);
  const before = await settled(() => client.total);
  assert.ok(before <= 65_536 * 3, String(before));
  await sleep(200);
  assert.equal(client.total, before);
  client.socket.terminate();
});

test("a client that goes away takes its command with it", async () => {
  gate.records = [];
  const client = await exec({ argv: ["sleep", "4343"] });
  await client.until("start", () => client.find("started") !== undefined);
  client.socket.terminate();
  await client.until("record", () => gate.records.length > 0);
  assert.ok(gate.records[0]?.type === "command" && gate.records[0].outcome === "cut");
});

test("a command whose record can't be written does not report success", async () => {
  const client = await exec({ argv: ["true"] }, { recordFails: true });
  assert.equal(await refusal(client), "1011 EVIDENCE_UNWRITABLE");
  assert.equal(client.find("exit"), undefined);
});
