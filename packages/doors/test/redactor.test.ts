import assert from "node:assert/strict";
import { test } from "node:test";
import type { RedactionPattern } from "@doorward/contracts";
import fc from "fast-check";
import { Redactor, compileRules } from "../src/terminal/redactor.ts";

const BUILT_IN = compileRules([]);

/** What a transcript would hold of chunks, with everything decided at the end. */
function redact(
  chunks: readonly (string | Uint8Array)[],
  patterns: RedactionPattern[] = [],
  cols = 80,
): string {
  const redactor = new Redactor(patterns.length === 0 ? BUILT_IN : compileRules(patterns), cols);
  const out: Buffer[] = [];
  const take = (): void => {
    if (redactor.decided > redactor.taken) out.push(redactor.take(redactor.decided));
  };
  for (const chunk of chunks) {
    redactor.push(Buffer.from(chunk as string));
    take();
  }
  redactor.finish();
  take();
  return Buffer.concat(out).toString();
}

/** Only what a terminal would draw, so that a secret in pieces is seen. */
const drawn = (text: string): string =>
  text.replace(/\u001b\[[0-9;?]*[a-zA-Z]|\u001b\(B|[\u0000-\u001f]/g, "");

const SECRETS: readonly (readonly [name: string, before: string, secret: string])[] = [
  ["github-token", "", "ghp_0123456789abcdefghijABCDEFGHIJ012345"],
  ["github-token", "", "github_pat_11ABCDEFG0123456789_abcdefghijklmnop"],
  ["anthropic-key", "x=", "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz_-01"],
  ["openai-key", "key ", "sk-proj-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"],
  ["slack-token", "", "xoxb-1234567890-abcdefghij"],
  ["aws-key-id", "id ", "AKIAIOSFODNN7EXAMPLE"],
  ["google-key", "", "AIzaSyA0123456789abcdefghijklmnopqrstuv"],
  ["npm-token", "", "npm_0123456789abcdefghijklmnopqrstuvwxyz"],
  ["gitlab-token", "", "glpat-0123456789abcdefghij"],
  ["doorward-token", "", "dwg_0123456789ab_ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcd"],
  ["json-web-token", "", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"],
  ["authorization", "Authorization: ", "Bearer abcdefghijklmnop"],
  ["bearer-token", "using Bearer ", "abcdefghijklmnop.QRST"],
  ["password", "PASSWORD=", "hunter2hunter2"],
  ["password", '"password": "', "correct horse battery staple"],
  ["password", String.raw`{\"password\":\"`, "pässwörd!"],
  ["password", "--password ", "tr0ub4dor"],
  ["token", "api_token: ", "zzzzyyyyxxxx"],
  ["key", "aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
  ["url-credentials", "postgres://app:", "s3cr3t@pass@"],
  ["password-hash", "root:", "$6$saltsalt$0123456789abcdefABCDEF./0123456789"],
];
const SEQUENCES = ["\u001b[31m", "\u001b[0m", "\u001b[12;40H", "\u001b[C", "\u001b(B", "\u009b1m"];

for (const [name, before, secret] of SECRETS) {
  test(`${name}: "${before}..." is hidden, wherever its bytes are split and whatever sequence is inside`, () => {
    const text = Buffer.from(`$ run ${before}${secret} "\r\ndone\r\n`);
    const whole = redact([text]);
    assert.ok(!whole.includes(secret.slice(0, 8)), whole);
    assert.ok(whole.includes(`[${name}]`), whole);
    assert.ok(whole.startsWith("$ run ") && whole.endsWith("done\r\n"), whole);
    for (let at = 0; at <= text.length; at += 1)
      assert.equal(redact([text.subarray(0, at), text.subarray(at)]), whole);
    const chars = Array.from(before + secret);
    for (const sequence of SEQUENCES)
      for (let at = 1; at < chars.length; at += 1) {
        const printed = `$ run ${chars.slice(0, at).join("")}${sequence}${chars.slice(at).join("")} "\r\ndone\r\n`;
        const shown = redact([printed]);
        assert.ok(!leaks(shown, secret), `${sequence.slice(1)} at ${String(at)}: ${shown}`);
      }
  });
}

/** Whether any six characters in a row of a secret are to be seen. */
function leaks(shown: string, secret: string): boolean {
  const text = drawn(shown.replace(/\[[a-z-]+\]/g, ""));
  return Array.from({ length: secret.length - 5 }, (_, at) => secret.slice(at, at + 6)).some((part) =>
    text.includes(part),
  );
}

test("any secret in any chunks with any sequences anywhere leaves nothing of itself", () => {
  const piece = fc.constantFrom(
    ...SEQUENCES,
    "",
    "",
    "\u001b]0;title\u0007",
    "\u001b]8;;http://x\u001b\\",
    "\u0007",
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...SECRETS),
      fc.array(piece, { minLength: 200, maxLength: 200 }),
      fc.array(fc.integer({ min: 1, max: 9 })),
      ([, before, secret], pieces, cuts) => {
        const chars = Array.from(` ${before}${secret}" `);
        const bytes = Buffer.from(chars.map((char, at) => char + (pieces[at] ?? "")).join(""));
        const chunks: Uint8Array[] = [];
        for (let at = 0, n = 0; at < bytes.length; n += 1) {
          const size = cuts[n % Math.max(1, cuts.length)] ?? bytes.length;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        assert.ok(!leaks(redact(chunks), secret), redact(chunks));
      },
    ),
    { numRuns: 1000 },
  );
});

test("a secret that the terminal wraps is hidden, however the program breaks the line", () => {
  const secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
  for (const wrap of ["", "\r\n", " \r", "\u001b[2;1H", "\u001b[K\r\n"])
    for (let before = 1; before < 40; before += 1) {
      const line = "x".repeat(39 - before) + " " + secret;
      const printed = `${line.slice(0, 40)}${wrap}${line.slice(40)}\r\nnext`;
      const shown = redact([printed], [], 40);
      assert.ok(!leaks(shown, secret), JSON.stringify(shown));
      assert.ok(shown.endsWith("next"), shown);
    }
});

test("a secret that is typed, corrected and echoed key by key is hidden", () => {
  const parts = ["export T=ghp_0123x", "\b \b", "456789", "\u001b[D\u001b[C", "abcdefgh\r\n"];
  assert.ok(!leaks(redact(parts.flatMap((part) => Array.from(part))), "ghp_0123456789abcdefgh"));
});

test("the body of a private key is hidden, over lines, and in one line of JSON", () => {
  const body = Array.from(
    { length: 20 },
    (_, at) => `MIIEv${String(at).padStart(2, "0")}${"aB3/".repeat(14)}`,
  );
  for (const kind of ["", "RSA ", "OPENSSH ", "EC ", "SOMETHING NEW "])
    for (const eol of ["\r\n", "\n", String.raw`\n`]) {
      const key = [`-----BEGIN ${kind}PRIVATE KEY-----`, ...body, `-----END ${kind}PRIVATE KEY-----`].join(
        eol,
      );
      const shown = redact([`cat key\r\n${key}\r\nafter\r\n`]);
      assert.ok(!shown.includes("MII") && shown.includes("[private-key]"), shown);
      assert.ok(shown.includes("after"), shown);
    }
});

test("a private key that never ends hides a bounded part of what follows", () => {
  const shown = redact([`-----BEGIN PRIVATE KEY-----\r\n${"line\r\n".repeat(10_000)}the end`]);
  assert.ok(shown.endsWith("the end"));
});

test("a door's own patterns are found, and only in the case and length that they say", () => {
  const patterns: RedactionPattern[] = [
    { name: "badge", match: "prefix", literal: "EMP-", run: "digits", minLength: 6 },
    { name: "pin", match: "key", literal: "door-pin", run: "digits", minLength: 4 },
  ];
  assert.equal(redact(["EMP-123456 x"], patterns), "[badge] x");
  assert.equal(redact(["emp-123456 EMP-12345 x"], patterns), "emp-123456 EMP-12345 x");
  assert.equal(redact(['"Door-Pin" : "4711"'], patterns), '"Door-Pin" : "[pin]"');
  assert.equal(redact(["door-pin 4711"], patterns), "door-pin 4711");
});

test("ordinary output stays as it is, byte for byte", () => {
  for (const text of [
    "disk-usage-of-the-largest-folder-in-here task-list-of-everything\r\n",
    "https://example.com:8080/path?x=1 git@github.com:a/b.git ssh://git@host/x\r\n",
    "password:\r\nmax_tokens: 4096, tokens=12\r\n\u001b[1;31mred\u001b[0m 漢字 \u001b[?1049h\r\n",
    "AKIA eyJ ghp_ sk- basic training bearer of news\r\n",
  ])
    assert.equal(redact([text]), text);
});

test("strings that draw nothing are dropped with what they carry, and text behind them is kept", () => {
  const shown = redact([
    "a\u001b]0;secret title\u0007b\u001b]52;c;c2VjcmV0\u001b\\c\u001bPqsixel\u001b\\d\u001b_apc\u001b\\e",
  ]);
  assert.equal(drawn(shown).replaceAll("\\", "").replaceAll("\u001b", ""), "abcde");
  assert.ok(!/secret|c2Vj|sixel|apc/.test(shown));
});

test("behind lost output, the rest of whatever was cut is hidden up to the next white space", () => {
  const redactor = new Redactor(BUILT_IN, 80);
  redactor.tear();
  redactor.push(Buffer.from("456789abcdefgh next"));
  redactor.finish();
  assert.equal(redactor.take(redactor.end).toString(), "[cut] next");
});

test("a secret that is not complete at the end is hidden as far as it came", () => {
  assert.equal(redact(["x ghp_012345"]), "x [github-token]");
});

test("what waits for a decision is bounded, and hidden when it becomes too much", () => {
  const redactor = new Redactor(BUILT_IN, 80);
  redactor.push(Buffer.from("ghp_0123"));
  for (let at = 0; at < 10_000; at += 1) {
    redactor.push(Buffer.from("\u001b[1m"));
    if (redactor.decided > redactor.taken) redactor.take(redactor.decided);
    assert.ok(redactor.end - redactor.taken <= 16_400);
  }
  redactor.push(Buffer.from("456789abcdefgh z"));
  const rest = redactor.take(redactor.decided).toString();
  assert.ok(!rest.includes("456") && rest.endsWith(" z"), rest);
});

/** Seconds of CPU for some bytes; the load of other programs does not count. */
function cost(text: string, bytes: number): number {
  const redactor = new Redactor(BUILT_IN, 80);
  const input = Buffer.alloc(bytes, text);
  const before = process.cpuUsage();
  for (let at = 0; at < bytes; at += 1000) {
    redactor.push(input.subarray(at, at + 1000));
    if (redactor.decided > redactor.taken) redactor.take(redactor.decided);
  }
  return process.cpuUsage(before).user / 1e6;
}

test("hostile output costs time that grows with its length alone", () => {
  const HOSTILE = [
    "ghp_sk-ant-AKIAeyJ",
    "password:token=secret: ",
    "://",
    `gh${"\u001b[m".repeat(3000)}`,
    "\u001b]",
    "\u001b",
  ];
  for (const text of HOSTILE) {
    cost(text, 100_000);
    const [small, large] = [cost(text, 200_000), cost(text, 1_600_000)];
    assert.ok(
      large < 8 * 4 * small + 0.2,
      `${JSON.stringify(text.slice(0, 20))}: ${String(small)} ${String(large)}`,
    );
  }
});
