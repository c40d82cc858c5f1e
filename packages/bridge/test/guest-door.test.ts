import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TERMINAL_PROTOCOL, type Operation } from "@doorward/contracts";
import { Client, attach, exec, refusal } from "./guest-door-client.ts";
import { gate } from "./guest-door-lab.ts";
import { newId, settled, soon } from "./guest-harness.ts";

test("a terminal over WebSocket: ready, echo, exit with its code, orderly close", async () => {
  gate.records = [];
  using client = await attach({ cols: 100, rows: 30 });
  await client.see("$ ");
  const ready = client.find("ready");
  assert.deepEqual(
    [ready?.created, ready?.role, ready?.input, ready?.cols, ready?.rows],
    [true, "controller", true, 100, 30],
  );
  client.type("echo $((20 + 3)); exit 9\r");
  assert.deepEqual(await client.end(), { code: 1000, reason: "CLOSED" });
  assert.ok(client.output.includes("23\r\n"));
  const exit = client.find("exit");
  assert.ok(exit !== undefined && "offset" in exit);
  assert.deepEqual([exit.code, exit.offset], [9, client.offset]);
  assert.deepEqual(
    gate.records.map((record) => record.type === "terminal" && `${record.event} ${record.execution}`),
    ["created operator", "exited operator"],
  );
});

test("a client that was lost resumes at its offset with nothing lost and nothing doubled", async () => {
  const argv = [
    "bash",
    "-c",
    "stty -echo; for ((i = 0; i < 300; i++)); do echo line $i; sleep 0.003; done; echo END; read x",
  ];
  const first = await attach({ terminal: { new: { argv } } });
  await first.see("line 40\r\n");
  first.socket.terminate();
  await first.end();
  const id = first.find("ready")?.terminal;
  const second = new Client(TERMINAL_PROTOCOL);
  await second.open({ type: "hello", mode: "attach", terminal: { id }, resume: first.offset, take: true });
  await second.see("END");
  const whole = first.output.toString() + second.output.toString();
  assert.equal(whole, Array.from({ length: 300 }, (_, i) => `line ${String(i)}\r\n`).join("") + "END\r\n");
  second.send({ type: "detach" });
  assert.deepEqual(await second.end(), { code: 1000, reason: "CLOSED" });
  assert.ok((await gate.lab.link.terminals(soon())).some((info) => info.id === id && info.exit === null));
});

test("a slow viewer of a flood costs bounded memory, Ctrl-C acts at once, and another terminal stays quick", async () => {
  using slow = await attach();
  await slow.see("$ ");
  slow.autoAck = false;
  slow.keep = false;
  const before = process.memoryUsage.rss();
  slow.type("yes | head -c 200M\r");
  await slow.until("the flood", () => slow.total > 100_000);
  const stalled = await settled(() => slow.total);
  assert.ok(stalled <= 262_144 + 131_072 + 1000, `the door sent ${String(stalled)} bytes without an ack`);
  await sleep(300);
  assert.equal(slow.total, stalled);
  using other = await attach();
  await other.see("$ ");
  const echoes: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const began = performance.now();
    other.type(`echo quick-$((${String(round)} + 1))\r`);
    await other.see(`quick-${String(round + 1)}`);
    echoes.push(performance.now() - began);
  }
  assert.equal(slow.total, stalled, "it did not wait for the slow one to read on");
  assert.ok(Math.min(...echoes) < 1000);
  slow.type("\u0003");
  slow.autoAck = true;
  slow.keep = true;
  slow.send({ type: "ack", offset: slow.offset });
  slow.type("echo back-$((2 + 2))\r");
  await slow.see("back-4");
  assert.ok(slow.total - stalled < 4_000_000);
  assert.ok(process.memoryUsage.rss() - before < 60_000_000);
});

test("an observer watches and is cut when it types", async () => {
  using controller = await attach();
  await controller.see("$ ");
  const id = controller.find("ready")?.terminal;
  const as = { operations: ["terminal.observe"] as Operation[] };
  const observer = new Client(TERMINAL_PROTOCOL, as);
  await observer.open({ type: "hello", mode: "observe", terminal: { id } });
  controller.type("echo seen-$((3 + 3))\r");
  await observer.see("seen-6");
  assert.deepEqual([observer.find("ready")?.role, observer.find("ready")?.input], ["observer", false]);
  observer.type("echo intruder\r");
  assert.equal(await refusal(observer), "4400 PROTOCOL_ERROR");
  const taker = new Client(TERMINAL_PROTOCOL, as);
  await taker.open({ type: "hello", mode: "observe", terminal: { id }, take: true });
  await taker.until("ready", () => taker.find("ready") !== undefined);
  taker.send({ type: "take-control" });
  assert.equal(await refusal(taker), "4400 PROTOCOL_ERROR");
  controller.type("echo end-$((3 + 4))\r");
  await controller.see("end-7");
  assert.ok(!controller.output.includes("intruder"));
});

test("control is handed over between clients, and the record says to whom", async () => {
  using first = await attach();
  await first.see("$ ");
  const id = first.find("ready")?.terminal;
  using second = new Client(TERMINAL_PROTOCOL, { kind: "agent" });
  await second.open({ type: "hello", mode: "attach", terminal: { id } });
  await second.until("ready", () => second.find("ready") !== undefined);
  assert.equal(second.find("ready")?.role, "observer");
  second.send({ type: "take-control" });
  await second.until("control", () => second.find("role")?.role === "controller");
  await first.until("loss", () => first.find("role")?.role === "observer");
  assert.equal(first.find("role")?.controller, second.find("ready")?.session);
  first.type("echo ignored\r");
  second.type("echo taken-$((4 + 4))\r");
  await first.see("taken-8");
  assert.ok(!first.output.includes("ignored"));
  const taken = gate.records
    .filter((record) => record.type === "terminal" && record.event === "control")
    .at(-1);
  assert.equal(taken?.execution, "agent");
});

test("an unknown terminal and an unknown program are refused with their codes", async () => {
  assert.equal(await refusal(await attach({ terminal: { id: newId("t") } })), "4404 TERMINAL_NOT_FOUND");
  assert.equal(
    await refusal(await attach({ terminal: { new: { argv: ["nope-nope"] } } })),
    "4404 COMMAND_NOT_FOUND",
  );
  gate.records = [];
  assert.equal(await refusal(await exec({ argv: ["nope-nope"] })), "4404 COMMAND_NOT_FOUND");
  assert.ok(gate.records[0]?.type === "command" && gate.records[0].outcome === "not-started");
});

test("notices reach the client", async () => {
  using client = await attach();
  await client.see("$ ");
  gate.notify({ code: "MACHINE_EXPIRES", message: "The machine stops in 10 minutes" });
  await client.until("notice", () => client.find("notice") !== undefined);
  assert.deepEqual(client.find("notice"), {
    type: "notice",
    notice: "machine-expires",
    message: "The machine stops in 10 minutes",
  });
});

test("a large paste arrives whole although the program reads late", async () => {
  using client = await attach({
    terminal: {
      new: { argv: ["bash", "-c", "stty raw -echo; echo READY; sleep 0.5; head -c 500000 | wc -c; read x"] },
    },
  });
  await client.see("READY");
  for (let at = 0; at < 500_000; at += 50_000) client.type(Buffer.alloc(50_000, "p"));
  await client.see("500000");
});
