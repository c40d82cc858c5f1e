import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { ask, raw } from "./gateway-dial.ts";
import type { Bench } from "./gateway-harness.ts";
import { closeAlive, startHostile } from "./gateway-wire.ts";

describe("hostile requests", () => {
  let bench: Bench;
  let token: string;
  before(async () => ({ bench, token } = await startHostile()));
  after(() => closeAlive(bench));
  const line = (first: string, ...headers: string[]) =>
    [first, `Host: 127.0.0.1:${String(bench.port)}`, ...headers, "", ""].join("\r\n");

  const malformed: [string, () => string | Buffer][] = [
    ["noise", () => randomBytes(200)],
    ["an HTTP/2 preface", () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a TLS hello", () => Buffer.from("16030100a5010000a10303", "hex")],
    ["HTTP/0.9", () => "GET /healthz\r\n\r\n"],
    ["HTTP/3.7", () => line("GET /healthz HTTP/3.7")],
    ["no Host", () => "GET /healthz HTTP/1.1\r\n\r\n"],
    ["two Hosts", () => line("GET /healthz HTTP/1.1", "Host: evil.example", "Connection: close")],
    [
      "two Authorizations",
      () =>
        line(
          "GET /v1/machines HTTP/1.1",
          `Authorization: Bearer ${token}`,
          ...["Authorization: Bearer x", "Connection: close"],
        ),
    ],
    [
      "two Content-Lengths",
      () => line("POST /v1/policy/check HTTP/1.1", "Content-Length: 2", "Content-Length: 3") + "{}",
    ],
    [
      "length and chunks",
      () =>
        line("POST /v1/policy/check HTTP/1.1", "Content-Length: 2", "Transfer-Encoding: chunked") +
        "0\r\n\r\n",
    ],
    [
      "an unknown transfer coding",
      () => line("POST /v1/policy/check HTTP/1.1", "Transfer-Encoding: xchunked") + "0\r\n\r\n",
    ],
    [
      "a coding after chunked",
      () => line("POST /v1/policy/check HTTP/1.1", "Transfer-Encoding: chunked, identity") + "0\r\n\r\n",
    ],
    ["a negative length", () => line("POST /v1/policy/check HTTP/1.1", "Content-Length: -1")],
    ["a length with a sign", () => line("POST /v1/policy/check HTTP/1.1", "Content-Length: +2") + "{}"],
    ["a space before a header's colon", () => line("GET /healthz HTTP/1.1", "X-A : b")],
    ["a folded header", () => line("GET /healthz HTTP/1.1", "X-A: b", " c")],
    ["NUL in a header", () => line("GET /healthz HTTP/1.1", "X-A: b\u0000c")],
    ["a lone CR in a header", () => line("GET /healthz HTTP/1.1", "X-A: b\rX-B: c")],
    [
      "a bad chunk size",
      () =>
        line(
          "POST /v1/policy/check HTTP/1.1",
          "Content-Type: application/json",
          "Transfer-Encoding: chunked",
        ) + "zz\r\n{}\r\n0\r\n\r\n",
    ],
    ["an absolute target", () => line("GET http://evil.example/healthz HTTP/1.1", "Connection: close")],
    ["an asterisk target", () => line("OPTIONS * HTTP/1.1", "Connection: close")],
    ["CONNECT", () => line("CONNECT evil.example:443 HTTP/1.1")],
    ["a lower-case method", () => line("get /healthz HTTP/1.1")],
    ["an invented method", () => line("LAUNCH /v1/machines HTTP/1.1")],
    ["TRACE", () => line("TRACE /healthz HTTP/1.1", "Connection: close")],
    ["HEAD", () => line("HEAD /healthz HTTP/1.1", "Connection: close")],
    [
      "NUL in the path",
      () => line("GET /v1/machines/%00 HTTP/1.1", `Authorization: Bearer ${token}`, "Connection: close"),
    ],
    [
      "a slash in a segment",
      () =>
        line(
          "GET /v1/machines/..%2f..%2fetc HTTP/1.1",
          `Authorization: Bearer ${token}`,
          "Connection: close",
        ),
    ],
    [
      "dots as segments",
      () => line("GET /v1/x/../machines HTTP/1.1", `Authorization: Bearer ${token}`, "Connection: close"),
    ],
    [
      "bytes that are no UTF-8 in the path",
      () => line("GET /v1/machines/%ff%fe HTTP/1.1", `Authorization: Bearer ${token}`, "Connection: close"),
    ],
    [
      "half an escape in the path",
      () => line("GET /v1/machines/%z HTTP/1.1", `Authorization: Bearer ${token}`, "Connection: close"),
    ],
    [
      "raw bytes in the path",
      () => Buffer.from(line("GET /v1/machines/\u00ff HTTP/1.1", "Connection: close"), "latin1"),
    ],
    ["a fragment", () => line("GET /healthz#x HTTP/1.1", "Connection: close")],
    [
      "an unknown expectation without a token",
      () => line("GET /v1/machines HTTP/1.1", "Expect: wonders", "Connection: close"),
    ],
    [
      "a body on GET",
      () =>
        line(
          "GET /v1/machines HTTP/1.1",
          `Authorization: Bearer ${token}`,
          "Content-Length: 2",
          "Connection: close",
        ) + "{}",
    ],
    [
      "a method override",
      () =>
        line(
          "GET /v1/machines/alpha/stop HTTP/1.1",
          `Authorization: Bearer ${token}`,
          "X-HTTP-Method-Override: POST",
          "Connection: close",
        ),
    ],
  ];
  for (const [what, bytes] of malformed) {
    it(`${what} is refused`, async () => {
      const text = await raw(bench.port, bytes());
      assert.match(text, /^HTTP\/1\.1 4\d\d /);
      assert.doesNotMatch(text, /HTTP\/1\.1 [25]\d\d/);
    });
  }

  it("what follows a refused length is never taken for a second request", async () => {
    const calls = bench.calls.length;
    const smuggled = line("GET /healthz HTTP/1.1", "X-Smuggled: 1");
    const text = await raw(
      bench.port,
      line("POST /healthz HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked") +
        `0\r\n\r\n${smuggled}`,
    );
    assert.equal(text.match(/^HTTP\/1\.1 /gm)?.length, 1);
    assert.equal(bench.calls.length, calls);
  });

  it("a URL that is too long is refused", async () => {
    const { status, json } = await ask({ port: bench.port }, { path: `/${"a".repeat(5000)}` });
    assert.deepEqual([status, json.code], [413, "INPUT_TOO_LARGE"]);
  });
  it("headers that are too large are refused", async () => {
    const text = await raw(bench.port, line("GET /healthz HTTP/1.1", `X-A: ${"a".repeat(20_000)}`));
    assert.match(text, /^HTTP\/1\.1 413 .*INPUT_TOO_LARGE/s);
  });
  it("too many headers are refused, not silently left out", async () => {
    const many = Array.from({ length: 200 }, (_, at) => `X-${String(at)}: a`);
    const text = await raw(bench.port, line("GET /healthz HTTP/1.1", ...many, "Connection: close"));
    assert.match(text, /^HTTP\/1\.1 413 .*INPUT_TOO_LARGE/s);
  });
  it("a body that says it is too large is refused unread", async () => {
    const text = await raw(
      bench.port,
      line(
        "POST /v1/grants/g_0123456789/narrow HTTP/1.1",
        `Authorization: Bearer ${token}`,
        "Content-Type: application/json",
        "Content-Length: 1048577",
      ),
    );
    assert.match(text, /^HTTP\/1\.1 413 .*INPUT_TOO_LARGE/s);
  });
  it("hundreds of mutated requests are answered or refused, never a fault", async () => {
    const seed =
      line(
        "POST /v1/policy/check HTTP/1.1",
        "Content-Type: application/json",
        "Content-Length: 13",
        "Connection: close",
      ) + '{"path":"/x"}';
    const before = bench.logs.filter((log) => log.includes('"code":"INTERNAL"')).length;
    for (let round = 0; round < 40; round += 1) {
      await Promise.all(
        Array.from({ length: 10 }, async () => {
          const bytes = Buffer.from(seed);
          const noise = randomBytes(12);
          for (let at = 0; at < 4; at += 1)
            bytes[noise.readUInt16LE(at * 2) % bytes.length] = noise[8 + at] ?? 0;
          const text = await raw(bench.port, bytes, 150);
          assert.doesNotMatch(text, /^HTTP\/1\.1 5/);
        }),
      );
    }
    assert.equal(bench.logs.filter((log) => log.includes('"code":"INTERNAL"')).length, before);
  });
});
