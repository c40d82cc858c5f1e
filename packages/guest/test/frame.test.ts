import assert from "node:assert/strict";
import { test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import fc from "fast-check";
import { FrameDecoder, encodeFrame, encodeMessage, type FrameRules } from "../src/frame.ts";

const rules: FrameRules = new Map([
  [1, { name: "message", min: 2, max: 64, streamed: false }],
  [2, { name: "bytes", min: 1, max: 100, streamed: true }],
  [3, { name: "other bytes", min: 1, max: 100, streamed: true }],
  [4, { name: "empty", min: 0, max: 0, streamed: false }],
]);

/** Everything a decoder hands on, streamed payloads of one type that follow each other joined. */
function decodeAll(chunks: readonly Buffer[]): { type: number; bytes: string }[] {
  const decoder = new FrameDecoder(rules);
  const seen: { type: number; bytes: string }[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk, (type, payload) => {
      const last = seen.at(-1);
      if (type !== 1 && type !== 4 && last?.type === type) last.bytes += payload.toString("hex");
      else seen.push({ type, bytes: payload.toString("hex") });
    });
  }
  return seen;
}

function refused(run: () => void): void {
  assert.throws(run, (error) => error instanceof DoorwardError && error.code === "GUEST_PROTOCOL");
}

test("frames come out as they went in, however the stream is split", () => {
  const frame = fc.oneof(
    fc.uint8Array({ minLength: 2, maxLength: 64 }).map((bytes) => ({ type: 1, bytes })),
    fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => ({ type: 2, bytes })),
    fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => ({ type: 3, bytes })),
    fc.constant({ type: 4, bytes: new Uint8Array(0) }),
  );
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (frames, cuts) => {
        const stream = Buffer.concat(frames.map(({ type, bytes }) => encodeFrame(type, bytes)));
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          if (at < stream.length) chunks.push(stream.subarray(at, at + cut));
          at += cut;
        }
        assert.deepEqual(decodeAll(chunks), decodeAll([stream]));
      },
    ),
  );
});

test("random bytes are refused or decoded, and never anything else", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (chunks) => {
      try {
        decodeAll(chunks.map((chunk) => Buffer.from(chunk)));
      } catch (error) {
        assert.ok(error instanceof DoorwardError && error.code === "GUEST_PROTOCOL");
      }
    }),
  );
});

test("an unknown frame type is refused at its header", () => {
  refused(() => decodeAll([Buffer.from([9, 0, 0, 0, 0])]));
});

test("a frame over its type's size is refused before its payload arrives", () => {
  refused(() => decodeAll([Buffer.from([1, 0, 0, 0, 65])]));
  refused(() => decodeAll([Buffer.from([2, 0xff, 0xff, 0xff, 0xff])]));
});

test("an empty frame is refused where bytes are due", () => {
  refused(() => decodeAll([Buffer.from([2, 0, 0, 0, 0])]));
});

test("a flood of one-byte frames costs one call for each chunk", () => {
  const decoder = new FrameDecoder(rules);
  let calls = 0;
  decoder.push(
    Buffer.concat(Array.from({ length: 1000 }, () => encodeFrame(2, Buffer.from("x")))),
    (_, payload) => {
      calls += 1;
      assert.equal(payload.length, 1000);
    },
  );
  assert.equal(calls, 1);
});

test("a message waits for its end, streamed bytes don't", () => {
  const decoder = new FrameDecoder(rules);
  const seen: string[] = [];
  const sink = (type: number, payload: Buffer): void =>
    void seen.push(`${String(type)}:${payload.toString()}`);
  const message = encodeMessage(1, { a: 1 });
  decoder.push(message.subarray(0, 8), sink);
  assert.deepEqual(seen, []);
  decoder.push(message.subarray(8), sink);
  decoder.push(encodeFrame(2, Buffer.from("hello")).subarray(0, 7), sink);
  assert.deepEqual(seen, ['1:{"a":1}', "2:he"]);
});
