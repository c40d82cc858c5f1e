import assert from "node:assert/strict";
import { test } from "node:test";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { EXEC_PROTOCOL, TERMINAL_PROTOCOL, WIRE_KIND, encodeBytes } from "@doorward/contracts";
import { FRAME, encodeFrame, encodeMessage } from "@doorward/guest";
import fc from "fast-check";
import { Client, attach, bash, refusal } from "./guest-door-client.ts";
import { gate } from "./guest-door-lab.ts";
import { newId } from "./guest-harness.ts";

test("malformed first messages are refused with the field's path", async () => {
  const cases: [object | string, string][] = [
    ["not json", "JSON"],
    [{ type: "hello" }, "mode"],
    [{ type: "hello", mode: "attach", terminal: { id: "../../x" } }, "terminal"],
    [{ type: "hello", mode: "attach", terminal: bash, cols: 0 }, "cols"],
    [{ type: "hello", mode: "attach", terminal: bash, root: true }, "wrong"],
    [{ type: "hello", mode: "attach", terminal: { id: newId("t") }, resume: -1 }, "resume"],
    [{ type: "hello", mode: "attach", terminal: { id: newId("t") }, resume: 1, scrollback: 1 }, "exclude"],
  ];
  for (const [message, expected] of cases) {
    const client = new Client(TERMINAL_PROTOCOL);
    await new Promise<void>((resolve) => client.socket.once("open", resolve));
    client.socket.send(typeof message === "string" ? message : JSON.stringify(message));
    assert.equal(await refusal(client), "4400 INPUT_INVALID");
    assert.match(client.find("error")?.message ?? "", new RegExp(expected));
  }
});

test("messages out of turn end the session with PROTOCOL_ERROR", async () => {
  const first = new Client(TERMINAL_PROTOCOL);
  await first.open({ type: "resize", cols: 1, rows: 1 });
  assert.equal(await refusal(first), "4400 PROTOCOL_ERROR");
  const binary = new Client(TERMINAL_PROTOCOL);
  await new Promise<void>((resolve) => binary.socket.once("open", resolve));
  binary.type("x");
  assert.equal(await refusal(binary), "4400 PROTOCOL_ERROR");
  for (const wrong of [
    { type: "ack", offset: 10_000_000 },
    { type: "hello", mode: "attach", terminal: bash },
  ]) {
    const client = await attach();
    await client.see("$ ");
    client.send(wrong);
    assert.equal(await refusal(client), "4400 PROTOCOL_ERROR");
  }
  const kind = await attach();
  await kind.see("$ ");
  kind.socket.send(encodeBytes(WIRE_KIND.stdin, Buffer.from("x")));
  assert.equal(await refusal(kind), "4400 PROTOCOL_ERROR");
});

test("random messages end a session with a code and leave the door open for others", async () => {
  const text = fc.oneof(
    fc.json(),
    fc.string(),
    fc.constantFrom('{"type":"hello"}', '{"type":"detach"}', "{}"),
  );
  const message = fc.oneof(text, fc.uint8Array({ maxLength: 50 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (messages, attached) => {
        const client = attached
          ? await attach({ terminal: { new: { argv: ["sleep", "1"] } } })
          : new Client(EXEC_PROTOCOL);
        if (!attached) await new Promise<void>((resolve) => client.socket.once("open", resolve));
        for (const one of messages) client.socket.send(one);
        await sleep(10);
        assert.ok(client.closed === undefined || client.closed.code !== 1011, JSON.stringify(client.closed));
        client.socket.terminate();
      },
    ),
    { numRuns: 40 },
  );
  using after = await attach();
  await after.see("$ ");
});

test("a machine that tells of one exit many times, and of control that nobody asked for, makes one record", async () => {
  const { link } = gate.lab;
  const role = (role: string): Buffer => encodeMessage(FRAME.role, { role, controller: null });
  const exit = encodeMessage(FRAME.exit, { code: 7, signal: null });
  gate.records = [];
  gate.lab.link = {
    ...link,
    dial: (open) => {
      const terminal = "terminal" in open ? open.terminal : "";
      const size = { cols: 80, rows: 24 };
      const started = { terminal, role: "controller", controller: null, offset: 0, ...size };
      const lies = Array.from({ length: 20 }, () => [role("observer"), role("controller")]).flat();
      const ends = [exit, exit, encodeFrame(FRAME.output, Buffer.from("more")), exit];
      const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
      stream.push(Buffer.concat([encodeMessage(FRAME.started, started), ...lies, ...ends]));
      return Promise.resolve(stream.pause());
    },
  };
  try {
    const client = await attach();
    assert.deepEqual(await client.end(), { code: 1000, reason: "CLOSED" });
    assert.equal(client.find("exit")?.code, 7);
    const events = gate.records.map((record) => ("event" in record ? record.event : record.type));
    assert.deepEqual(events, ["created", "exited"]);
  } finally {
    gate.lab.link = link;
  }
});
