import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { dialDoor, eventually, raw } from "./gateway-dial.ts";
import type { Bench } from "./gateway-harness.ts";
import { closeAlive, handshake, startHostile, upgraded } from "./gateway-wire.ts";

describe("hostile WebSockets", () => {
  let bench: Bench;
  let token: string;
  before(async () => ({ bench, token } = await startHostile()));
  after(() => closeAlive(bench));

  const frames: [string, Buffer, number][] = [
    ["an unmasked frame", Buffer.from([0x81, 0x02, 0x68, 0x69]), 1002],
    ["reserved bits", Buffer.from([0xf1, 0x80, 0, 0, 0, 0]), 1002],
    ["an unknown opcode", Buffer.from([0x83, 0x80, 0, 0, 0, 0]), 1002],
    ["a fragmented ping", Buffer.from([0x09, 0x80, 0, 0, 0, 0]), 1002],
    ["a continuation of nothing", Buffer.from([0x80, 0x80, 0, 0, 0, 0]), 1002],
    ["text that is no UTF-8", Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]), 1007],
    [
      "a frame that says it is too large",
      Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
      1009,
    ],
    [
      "a frame of 2^63 bytes",
      Buffer.from([0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
      1009,
    ],
    ["a compressed frame", Buffer.from([0xc1, 0x81, 0, 0, 0, 0, 0x41]), 1002],
  ];
  for (const [what, frame, code] of frames) {
    it(`${what} closes the socket with ${String(code)} and is recorded`, async () => {
      const closed = bench.evidence.closed.length;
      const { wire, received } = await upgraded(bench, token);
      wire.write(frame);
      await eventually(() => bench.evidence.closed.length > closed, "the end is recorded");
      wire.destroy();
      assert.ok(
        received().includes(Buffer.from([0x88, 0x02, code >> 8, code & 255])),
        received().toString("hex"),
      );
    });
  }
  it("a message in endless fragments is cut at the limit", async () => {
    const { wire, received } = await upgraded(bench, token);
    const part = Buffer.concat([Buffer.from([0x00, 0xfe, 0x40, 0x00, 0, 0, 0, 0]), Buffer.alloc(0x4000)]);
    wire.write(Buffer.from([0x02, 0x80, 0, 0, 0, 0]));
    for (let at = 0; at < 8; at += 1) wire.write(part);
    await eventually(() => received().includes(Buffer.from([0x88, 0x02, 1009 >> 8, 1009 & 255])), "1009");
    wire.destroy();
  });
  it("compression is never agreed", async () => {
    const socket = await dialDoor(bench, { token, options: { perMessageDeflate: true } });
    assert.equal(socket.extensions, "");
    socket.terminate();
  });
  it("input hidden behind the handshake is not run before the start is recorded", async () => {
    bench.evidence.fails = true;
    try {
      const received = bench.door.received.length;
      const socket = connect(bench.port, "127.0.0.1").on("error", () => undefined);
      socket.resume();
      socket.write(
        Buffer.concat([Buffer.from(handshake(bench, token)), Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x41])]),
      );
      await once(socket, "close");
      assert.equal(bench.door.received.length, received);
    } finally {
      bench.evidence.fails = false;
    }
  });
  for (const key of [
    "",
    "short",
    "!".repeat(24),
    "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ]) {
    it(`a handshake with key ${JSON.stringify(key.slice(0, 12))} (${String(key.length)}) is refused`, async () => {
      const text = await raw(bench.port, handshake(bench, token).replace("dGhlIHNhbXBsZSBub25jZQ==", key));
      assert.match(text, /^HTTP\/1\.1 400 /);
    });
  }
  it("subprotocols that are malformed or doubled are refused", async () => {
    for (const header of [
      "doorward.terminal.v1,",
      "doorward.terminal.v1, doorward.terminal.v1",
      "doorward.terminal.v1 x",
      ", doorward.terminal.v1",
    ]) {
      const text = await raw(bench.port, handshake(bench, token).replace("doorward.terminal.v1", header));
      assert.match(text, /^HTTP\/1\.1 400 /, header);
    }
  });
});
