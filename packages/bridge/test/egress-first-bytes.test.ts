import assert from "node:assert/strict";
import { test } from "node:test";
import { tunnelKind } from "../src/egress/proxy/first-bytes.ts";

const kind = (text: string, ended = false): string | null => tunnelKind(Buffer.from(text, "latin1"), ended);

const REQUESTS = [
  "GET / HTTP/1.1\r\n",
  "get http://a.test/ HTTP/1.1\r\n",
  "\r\n\r\n GET / HTTP/1.0\n",
  "M-SEARCH * HTTP/1.1\r\n",
  "X /\r\n",
  "G3T\t/ HTTP/1.1\r\n",
  "CONNECT a.test:443 HTTP/1.1\r\n",
  "BREW pot HTTP/1.1\r\n",
  "GET ?x HTTP/1.1\n",
  `${"M".repeat(300)} / HTTP/1.1\r\n`,
  `M-SEARCH /${"x".repeat(20_000)}`,
  "M".repeat(20_000),
];
for (const text of REQUESTS) {
  test(`what begins ${JSON.stringify(text.slice(0, 30))} is judged as HTTP, whole or in pieces`, () => {
    assert.equal(kind(text), "http");
    for (let cut = 0; cut < Math.min(text.length, 40); cut += 1)
      assert.notEqual(kind(text.slice(0, cut)), "raw", String(cut));
  });
}

const OTHERS = [
  "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
  "EHLO mail.test\r\n",
  "PING\r\n",
  "*1\r\n$4\r\nPING\r\n",
  "0032git-upload-pack /project.git\0host=a.test\0",
  "\0\0\0\b\x04\xd2\x16\x2f",
  "AMQP\0\0\t\x01",
  "CONNECT\naccept-version:1.2\n",
  "REGISTER sip:a.test SIP/2.0\r\n",
  "aGVsbG8=",
];
for (const text of OTHERS) {
  test(`what begins ${JSON.stringify(text.slice(0, 30))} passes as it is, without a wait for more`, () => {
    assert.equal(kind(text), "raw");
  });
}

test("a line that may become a request waits, and is none when the program ends without one", () => {
  for (const text of ["", "\r\n", "hello", "hello world"]) {
    assert.equal(kind(text), null, text);
    assert.equal(kind(text, true), "raw", text);
  }
  assert.equal(kind("M-SEARCH /", true), "http");
});

test("a TLS record is TLS", () => {
  assert.equal(tunnelKind(Buffer.from("160301", "hex"), false), "tls");
});
