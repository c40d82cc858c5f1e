import assert from "node:assert/strict";
import { test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import fc from "fast-check";
import { newGrantId, newToken, parseToken, sameHash } from "../src/grants/token.ts";

function refusedWithoutEcho(text: string): void {
  assert.throws(
    () => parseToken(text),
    (error) => {
      assert.ok(error instanceof DoorwardError);
      assert.equal(error.code, "TOKEN_INVALID");
      const told = JSON.stringify([error.message, error.hint, error.details]);
      if (text.length > 8) assert.ok(!told.includes(text), "the error repeats the token");
      return true;
    },
  );
}

test("a token names its grant and carries 256 random bits", () => {
  const id = newGrantId();
  assert.match(id, /^g_[a-z0-9]{16}$/);
  const { token, hash } = newToken(id);
  assert.match(token, /^dwg_[a-z0-9]{16}_[A-Za-z0-9]{43}_[A-Za-z0-9]{6}$/);
  assert.deepEqual(parseToken(token), { grantId: id, hash });
  assert.ok(!hash.includes(token.split("_")[2]!), "the hash holds the secret");
  assert.notEqual(newToken(id).token, token);
});

test("a token cut short at any place is refused", () => {
  const { token } = newToken(newGrantId());
  for (let length = 0; length < token.length; length += 1) refusedWithoutEcho(token.slice(0, length));
});

test("a token with any single bit flipped is refused", () => {
  const bytes = Buffer.from(newToken(newGrantId()).token, "latin1");
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    refusedWithoutEcho(flipped.toString("latin1"));
  }
});

test("a token in the wrong case is refused", () => {
  const { token } = newToken(newGrantId());
  refusedWithoutEcho(token.toUpperCase());
  refusedWithoutEcho(token.toLowerCase());
  refusedWithoutEcho(token.replace("dwg_", "DWG_"));
});

test("a token with anything around it is refused", () => {
  const { token } = newToken(newGrantId());
  for (const text of [
    ` ${token}`,
    `${token}\n`,
    `${token}=`,
    `Bearer ${token}`,
    token + token,
    `${token}\0`,
  ]) {
    refusedWithoutEcho(text);
  }
});

test("arbitrary text is refused with TOKEN_INVALID and nothing else", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), refusedWithoutEcho), { numRuns: 500 });
  refusedWithoutEcho("dwg_" + "a".repeat(5_000_000));
});

test("hashes of different length are different", () => {
  assert.equal(sameHash("sha256:aa", "sha256:aab"), false);
  assert.equal(sameHash("sha256:aa", "sha256:aa"), true);
});
