import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ask, raw } from "./gateway-dial.ts";
import type { Bench } from "./gateway-harness.ts";
import { closeAlive, startHostile } from "./gateway-wire.ts";

describe("hostile callers", () => {
  let bench: Bench;
  let token: string;
  before(async () => ({ bench, token } = await startHostile()));
  after(() => closeAlive(bench));

  for (const name of [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "0.0.0.0",
    "[::]",
    "127.1",
    "",
    "a@127.0.0.1",
    "localhost.",
  ]) {
    it(`Host "${name}" is refused`, async () => {
      const text = await raw(
        bench.port,
        `GET /healthz HTTP/1.1\r\nHost: ${name}:${String(bench.port)}\r\nConnection: close\r\n\r\n`,
      );
      assert.match(text, /^HTTP\/1\.1 403 .*HOST_NOT_ALLOWED/s);
    });
  }
  for (const good of ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"]) {
    it(`Host "${good}" with our port is served`, async () => {
      const text = await raw(
        bench.port,
        `GET /healthz HTTP/1.1\r\nHost: ${good}:${String(bench.port)}\r\nConnection: close\r\n\r\n`,
      );
      assert.match(text, /^HTTP\/1\.1 200 /);
    });
  }
  it("Host without our port is refused on TCP", async () => {
    assert.equal(
      (await ask({ port: bench.port }, { path: "/healthz", host: "localhost" })).json.code,
      "HOST_NOT_ALLOWED",
    );
  });
  it("a foreign Host is refused on the Unix socket too", async () => {
    const { json } = await ask({ socketPath: bench.socket }, { path: "/healthz", host: "evil.example" });
    assert.equal(json.code, "HOST_NOT_ALLOWED");
  });

  for (const headers of [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: "http://127.0.0.1:1" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
  ]) {
    it(`a browser page with ${JSON.stringify(headers)} is refused, with a token too, and gets no CORS`, async () => {
      const answer = await ask({ port: bench.port }, { path: "/healthz", token, headers });
      assert.deepEqual([answer.status, answer.json.code], [403, "ORIGIN_NOT_ALLOWED"]);
      assert.ok(!Object.keys(answer.headers).some((name) => name.startsWith("access-control")));
    });
  }
  it("a CORS preflight is refused", async () => {
    const headers = { origin: "https://evil.example", "access-control-request-method": "POST" };
    const answer = await ask({ port: bench.port }, { method: "OPTIONS", path: "/v1/machines", headers });
    assert.equal(answer.status, 403);
    assert.ok(!Object.keys(answer.headers).some((name) => name.startsWith("access-control")));
  });
});
