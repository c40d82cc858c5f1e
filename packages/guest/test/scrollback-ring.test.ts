import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ScrollbackRing } from "../src/inside/scrollback-ring.ts";

function contents(ring: ScrollbackRing): Buffer {
  const target = Buffer.alloc(ring.head - ring.tail);
  assert.equal(ring.copy(ring.tail, target, 0), target.length);
  return target;
}

test("a ring keeps the last bytes at their absolute positions, whatever the pieces", () => {
  const piece = fc.uint8Array({ maxLength: 90_000, size: "max" });
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 8 }),
      fc.integer({ min: 4096, max: 200_000 }),
      (pieces, capacity) => {
        const ring = new ScrollbackRing(capacity);
        let all = Buffer.alloc(0);
        for (const bytes of pieces) {
          ring.append(Buffer.from(bytes));
          all = Buffer.concat([all, bytes]);
          assert.equal(ring.head, all.length);
          assert.ok(ring.head - ring.tail >= Math.min(all.length, Math.min(capacity, 65_536)));
          assert.ok(contents(ring).equals(all.subarray(ring.tail)));
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a ring grows up to its capacity and then loses the oldest bytes", () => {
  const ring = new ScrollbackRing(100_000);
  ring.append(Buffer.alloc(100_000, "a"));
  assert.equal(ring.tail, 0);
  ring.append(Buffer.from("bc"));
  assert.deepEqual([ring.tail, ring.head], [2, 100_002]);
  assert.equal(contents(ring).subarray(-2).toString(), "bc");
});

test("a piece larger than the ring leaves its end", () => {
  const ring = new ScrollbackRing(4096);
  ring.append(Buffer.concat([Buffer.alloc(10_000, "a"), Buffer.alloc(4096, "b")]));
  assert.equal(ring.tail, 10_000);
  assert.ok(contents(ring).equals(Buffer.alloc(4096, "b")));
});

test("scrollback starts at the beginning of a line", () => {
  const ring = new ScrollbackRing(4096);
  ring.append(Buffer.from("first\nsecond\nthird"));
  assert.equal(ring.startOfLine(1000), 0);
  assert.equal(ring.startOfLine(8), "first\nsecond\n".length);
  assert.equal(ring.startOfLine(0), ring.head);
});
