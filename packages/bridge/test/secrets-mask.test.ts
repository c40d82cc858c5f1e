import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AnswerMask } from "../src/secrets/index.ts";

const VALUE = `sk-ant-api03-${"aB3/+d9_=x&".repeat(4)}"quoted" 'x' <y>\\z`;
const mask = new AnswerMask([VALUE], [VALUE]);

function through(chunks: readonly Buffer[], with_ = mask): Buffer {
  const body = with_.body();
  return Buffer.concat([...chunks.map((chunk) => body.next(chunk)), body.end()]);
}

const b64 = (text: string): string => Buffer.from(text, "latin1").toString("base64");
const hexOf = (text: string): string => Buffer.from(text, "latin1").toString("hex");
const each = (text: string, how: (code: number) => string): string =>
  Array.from(text, (char) => how(char.charCodeAt(0))).join("");
const two = (code: number): string => code.toString(16).padStart(2, "0");

const ECHOES: Readonly<Record<string, string>> = {
  plain: VALUE,
  "in lower case": VALUE.toLowerCase(),
  "in upper case": VALUE.toUpperCase(),
  backwards: Array.from(VALUE).reverse().join(""),
  "as JSON": JSON.stringify({ authorization: `Bearer ${VALUE}` }),
  "as JSON with escaped slashes": JSON.stringify(VALUE).replaceAll("/", "\\/"),
  "as JSON for HTML": JSON.stringify(VALUE).replace(/[<>&]/g, (char) => `\\u00${two(char.charCodeAt(0))}`),
  "as JSON of escapes only": each(VALUE, (code) => `\\u00${two(code)}`),
  "as JSON in JSON": JSON.stringify(JSON.stringify(VALUE)),
  "as a JSON array of bytes": JSON.stringify(Buffer.from(VALUE)),
  "as a JSON array of bytes with spaces": Array.from(Buffer.from(VALUE)).join(", "),
  "percent-encoded": encodeURIComponent(VALUE),
  "percent-encoded in a form": new URLSearchParams({ key: VALUE }).toString(),
  "percent-encoded in lower case": encodeURIComponent(VALUE).replace(/%../g, (hex) => hex.toLowerCase()),
  "percent-encoded twice": encodeURIComponent(encodeURIComponent(VALUE)),
  "percent-encoded to the last character": each(VALUE, (code) => `%${two(code)}`),
  "in HTML": VALUE.replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;"),
  "as numbers in HTML": each(VALUE, (code) => `&#${String(code)};`),
  "as hex numbers in HTML": each(VALUE, (code) => `&#x${two(code)};`),
  "as hex": hexOf(VALUE),
  "as hex in upper case": hexOf(VALUE).toUpperCase(),
  "as hex with colons": each(VALUE, (code) => `${two(code)}:`),
  "as escapes of C": each(VALUE, (code) => `\\x${two(code)}`),
  "as octal escapes": each(VALUE, (code) => `\\${code.toString(8).padStart(3, "0")}`),
  "as base64": b64(VALUE),
  "as base64 one later": b64(`x${VALUE}`),
  "as base64 two later": b64(`xy${VALUE}!`),
  "as base64 for URLs": Buffer.from(`user:${VALUE}`).toString("base64url"),
  "as base64 in JSON with escaped slashes": b64(`me:${VALUE}`).replaceAll("/", "\\/"),
  "as base64, percent-encoded": encodeURIComponent(b64(`me:${VALUE}`)),
  "as Basic credentials": `Basic ${b64(`git:${VALUE}`)}`,
  "as Basic credentials in hex": hexOf(`Basic ${b64(`git:${VALUE}`)}`),
  "as Basic credentials in base64": b64(`authorization: Basic ${b64(`u:${VALUE}`)}`),
  "as Basic credentials of escapes only": each(b64(`me:${VALUE}`), (code) => `\\u00${two(code)}`),
  "as Basic credentials backwards": Array.from(b64(`:${VALUE}`))
    .reverse()
    .join(""),
  "as UTF-16": Buffer.from(VALUE, "utf16le").toString("latin1"),
};

/** Whether a text holds a recognisable run of the value in one of the forms that a program would look for. */
function leaks(masked: string, echo: string, how = ""): boolean {
  // What stands before the value in credentials, and the padding behind it, is no secret.
  const around = /^as Basic credentials [iobf]/.test(how) ? 36 : 0;
  for (let at = around; at + 12 <= echo.length - around; at += 1) {
    const run = echo.slice(at, at + 12);
    if (
      !run.includes("*") &&
      masked.includes(run) &&
      !'{"authorization":"Bearer {"type":"Buffer","data":['.includes(run)
    )
      return true;
  }
  return false;
}

describe("an answer that echoes a value is masked", () => {
  for (const [how, echo] of Object.entries(ECHOES)) {
    it(`${how}, wherever the stream is cut`, () => {
      const text = `before ${echo} after`;
      const whole = through([Buffer.from(text, "latin1")]).toString("latin1");
      assert.equal(whole.length, text.length, "the length stays");
      assert.ok(whole.startsWith("before ") && whole.endsWith(" after"), whole);
      assert.ok(!leaks(whole, echo, how), whole);
      const bytes = Array.from(Buffer.from(text, "latin1"), (byte) => Buffer.from([byte]));
      assert.equal(through(bytes).toString("latin1"), whole, "byte by byte");
      for (const size of [2, 3, 7, 16]) {
        const cut = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
          Buffer.from(text.slice(at * size, (at + 1) * size), "latin1"),
        );
        assert.equal(through(cut).toString("latin1"), whole, `in pieces of ${String(size)}`);
      }
    });

    it(`${how}, in a header`, () => {
      const masked = mask.headers(["x-echo", echo]);
      assert.equal(masked[0], "x-echo");
      assert.ok(!leaks(masked[1] ?? "", echo, how), masked[1]);
    });
  }

  it("base64 leaves no bit of the value beside the mask, whatever stands around it", () => {
    for (const value of ["tokenABCDEFGH", "tokenABCDEFGHI", "tokenABCDEFGHIJ"]) {
      const own = new AnswerMask([value]);
      for (const before of ["", "a", "ab", "abc"]) {
        for (const after of ["", "y", "yz", "\u00ff\u00ff"]) {
          const [begin, end] = [before.length * 8, (before.length + value.length) * 8];
          const masked = own.text(b64(before + value + after));
          for (let at = Math.floor(begin / 6); at < Math.ceil(end / 6); at += 1)
            assert.equal(masked[at], "*", `${before}|${value}|${after}: ${masked}`);
        }
      }
    }
  });

  it("two values, one inside the other and one over the end of the other, are masked", () => {
    const own = new AnswerMask(["abcdefghij", "cdefgh-long-value", "hij-tail-1"]);
    assert.equal(own.text("x abcdefghij-tail-1 y"), `x ${"*".repeat(17)} y`);
    assert.equal(own.text("x abcdefgh-long-value y"), `x ab${"*".repeat(17)} y`);
  });

  it("echoes beside each other, and begins that lead nowhere, are told apart", () => {
    const own = new AnswerMask(["aabaabaac"]);
    assert.equal(
      through([Buffer.from("aabaabaabaac aabaabaacaabaabaac")], own).toString(),
      "aab********* ******************",
    );
  });
});

describe("an answer without the value passes unchanged", () => {
  it("whatever it is and wherever it is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
        const given = chunks.map((chunk) => Buffer.from(chunk));
        assert.deepEqual(through(given), Buffer.concat(given));
      }),
      { numRuns: 60 },
    );
  });

  it("and at once: what can't be the begin of an echo is not held back", () => {
    const event = 'data: {"delta":"Hel"}\n\n';
    assert.equal(mask.body().next(Buffer.from(event)).toString(), event);
  });

  it("the far side's chunks are not written to", () => {
    const chunk = Buffer.from(`x ${VALUE}`);
    through([chunk]);
    assert.equal(chunk.toString(), `x ${VALUE}`);
  });
});
