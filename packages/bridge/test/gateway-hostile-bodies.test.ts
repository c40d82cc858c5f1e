import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { ask, eventually } from "./gateway-dial.ts";
import type { Bench } from "./gateway-harness.ts";
import { closeAlive, startHostile } from "./gateway-wire.ts";

describe("hostile bodies and queries", () => {
  let bench: Bench;
  let token: string;
  before(async () => ({ bench, token } = await startHostile()));
  after(() => closeAlive(bench));
  const line = (first: string, ...headers: string[]) =>
    [first, `Host: 127.0.0.1:${String(bench.port)}`, ...headers, "", ""].join("\r\n");
  const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
    ask({ socketPath: bench.socket }, { method: "POST", path: "/v1/policy/check", body, headers });

  it("a body that grows too large in chunks is refused, and the client sees why", async () => {
    const socket = connect(bench.port, "127.0.0.1");
    let got = "";
    socket.on("data", (chunk) => (got += chunk.toString()));
    socket.on("error", () => undefined);
    socket.write(
      line(
        "POST /v1/grants/g_0123456789/narrow HTTP/1.1",
        `Authorization: Bearer ${token}`,
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
      ),
    );
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    for (let at = 0; at < 200 && !socket.destroyed && !got.includes("}"); at += 1) {
      if (!socket.write(chunk))
        await Promise.race([once(socket, "drain"), once(socket, "close"), once(socket, "data")]).catch(
          () => undefined,
        );
    }
    await eventually(() => got.includes("INPUT_TOO_LARGE"), "the refusal arrives");
    socket.destroy();
  });
  const depth = 100_000;
  const bodies: [string, string | Buffer, Record<string, string>, RegExp][] = [
    ["deep arrays", "[".repeat(depth) + "]".repeat(depth), {}, /deep|JSON/],
    ["deep objects", '{"a":'.repeat(depth) + "1" + "}".repeat(depth), {}, /deep|JSON/],
    ["an unclosed nest", "[".repeat(500_000), {}, /JSON/],
    ["__proto__", '{"path":"/x","__proto__":{"admin":true}}', {}, /__proto__/],
    ["an escaped __proto__", '{"path":"/x","\\u005f_proto__":{"admin":true}}', {}, /__proto__/],
    ["a nested __proto__", '{"path":{"__proto__":1}}', {}, /__proto__/],
    ["constructor.prototype", '{"path":"/x","constructor":{"prototype":{"a":1}}}', {}, /constructor/],
    ["no JSON", "path=/x", {}, /JSON/],
    ["two documents", "{}{}", {}, /JSON/],
    ["invalid UTF-8", Buffer.from('{"path":"/\xff\xfe"}', "latin1"), {}, /UTF-8/],
    ["UTF-16", Buffer.from('{"path":"/x"}', "utf16le"), {}, /JSON|UTF-8/],
    ["a byte order mark", '\ufeff{"path":"/x"}', {}, /JSON/],
    ["an array", "[]", {}, /body/],
    ["null", "null", {}, /body/],
    ["a huge number as path", '{"path":1e999}', {}, /path/],
    ["text/plain", '{"path":"/x"}', { "content-type": "text/plain" }, /Content-Type/],
    ["a form", "path=/x", { "content-type": "application/x-www-form-urlencoded" }, /Content-Type/],
    [
      "another charset",
      '{"path":"/x"}',
      { "content-type": "application/json; charset=utf-16" },
      /Content-Type/,
    ],
    ["compression", '{"path":"/x"}', { "content-encoding": "gzip" }, /compressed/],
    ["a path that is too long", JSON.stringify({ path: "x".repeat(5000) }), {}, /path/],
  ];
  for (const [what, body, headers, why] of bodies) {
    it(`a body with ${what} is refused with INPUT_INVALID`, async () => {
      const { status, json } = await post(body, headers);
      assert.deepEqual([status, json.code], [400, "INPUT_INVALID"]);
      assert.match(json.detail, why);
      assert.equal(({} as Record<string, unknown>)["admin"], undefined);
    });
  }
  it("a query parameter given twice is refused", async () => {
    const { json } = await ask({ socketPath: bench.socket }, { path: "/v1/evidence?limit=1&limit=2" });
    assert.match(json.detail, /"limit" is given twice/);
  });
  it("a query that is no UTF-8 is refused", async () => {
    assert.equal(
      (await ask({ socketPath: bench.socket }, { path: "/v1/evidence?type=%ff" })).json.code,
      "INPUT_INVALID",
    );
  });
});
