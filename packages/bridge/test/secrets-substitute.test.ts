import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BoundSecret } from "../src/egress/ports.ts";
import { boundRequestHeaders, guardBoundAnswer, substituteHeaders } from "../src/secrets/index.ts";

const PLACEHOLDER = "sk-ant-dw0123456789abcdef0123456789abcdef0123456789abcdef";
const VALUE = "sk-ant-api03-The/real+value=42";
const KEY = bound("x-api-key");
const AUTH = bound("authorization");

function bound(header: string, value = VALUE): BoundSecret {
  return { name: "API_KEY", header, placeholder: PLACEHOLDER, value: () => Promise.resolve(value) };
}

const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

async function sent(headers: readonly string[], ...secrets: BoundSecret[]): Promise<readonly string[]> {
  return (await substituteHeaders(headers, secrets)).rawHeaders;
}

describe("a value goes into exactly the bound header", () => {
  for (const [what, secret, given, expected] of [
    ["whole", KEY, PLACEHOLDER, VALUE],
    ["Bearer", AUTH, `Bearer ${PLACEHOLDER}`, `Bearer ${VALUE}`],
    ["bearer in lower case", AUTH, `bearer ${PLACEHOLDER}`, `bearer ${VALUE}`],
    ["token", AUTH, `token ${PLACEHOLDER}`, `token ${VALUE}`],
    ["Basic with a user, as git sends it", AUTH, basic(`me:${PLACEHOLDER}`), basic(`me:${VALUE}`)],
    [
      "Basic with x-access-token",
      AUTH,
      basic(`x-access-token:${PLACEHOLDER}`),
      basic(`x-access-token:${VALUE}`),
    ],
    ["Basic with an empty user", AUTH, basic(`:${PLACEHOLDER}`), basic(`:${VALUE}`)],
    ["Basic as user alone", AUTH, basic(`${PLACEHOLDER}:`), basic(`${VALUE}:`)],
    [
      "Basic as user with x-oauth-basic",
      AUTH,
      basic(`${PLACEHOLDER}:x-oauth-basic`),
      basic(`${VALUE}:x-oauth-basic`),
    ],
  ] as const) {
    it(`it is put in place of the placeholder: ${what}`, async () => {
      const headers = ["Host", "api.test", secret.header.toUpperCase(), given, "Accept", "*/*"];
      const result = await substituteHeaders(headers, [secret]);
      assert.deepEqual(result.rawHeaders, [
        "Host",
        "api.test",
        secret.header.toUpperCase(),
        expected,
        "Accept",
        "*/*",
      ]);
      assert.deepEqual(result.used, ["API_KEY"]);
    });
  }

  for (const [what, headers] of [
    ["another header", ["x-other", PLACEHOLDER]],
    ["a header whose name only begins like it", ["x-api-key-2", PLACEHOLDER]],
    ["the bound header twice", ["x-api-key", PLACEHOLDER, "X-Api-Key", PLACEHOLDER]],
    ["the bound header twice, once with something else", ["x-api-key", "other", "X-API-KEY", PLACEHOLDER]],
    ["a list", ["x-api-key", `${PLACEHOLDER}, x`]],
    ["a list the other way round", ["x-api-key", `x, ${PLACEHOLDER}`]],
    ["a parameter", ["x-api-key", `Bearer ${PLACEHOLDER}; q=1`]],
    ["another scheme", ["x-api-key", `Digest ${PLACEHOLDER}`]],
    ["two spaces", ["x-api-key", `Bearer  ${PLACEHOLDER}`]],
    ["a tab", ["x-api-key", `Bearer\t${PLACEHOLDER}`]],
    ["a part of a longer word", ["x-api-key", `${PLACEHOLDER}0`]],
    ["other case", ["x-api-key", PLACEHOLDER.toUpperCase()]],
    ["percent-encoded", ["x-api-key", encodeURIComponent(PLACEHOLDER).replace("-", "%2D")]],
    ["base64 alone", ["x-api-key", Buffer.from(PLACEHOLDER).toString("base64")]],
    ["Basic without a colon", ["x-api-key", basic(PLACEHOLDER)]],
    ["Basic with more behind it", ["x-api-key", basic(`u:${PLACEHOLDER}x`)]],
    ["Basic with it twice", ["x-api-key", basic(`${PLACEHOLDER}:${PLACEHOLDER}`)]],
    ["Basic twice in one", ["x-api-key", `${basic(`u:${PLACEHOLDER}`)}, Basic eA==`]],
    [
      "Basic in base64 that is not canonical",
      ["x-api-key", `${basic(`u:${PLACEHOLDER}`).replace(/=*$/, "")}=A`],
    ],
    ["the host header", ["host", PLACEHOLDER]],
  ] as const) {
    it(`it stays out of ${what}`, async () => {
      const result = await substituteHeaders([...headers], [KEY]);
      assert.deepEqual(result.rawHeaders, headers);
      assert.deepEqual(result.used, []);
    });
  }

  it("a placeholder of another machine stays what it is", async () => {
    const foreign = PLACEHOLDER.replace("0123", "3210");
    assert.deepEqual(await sent(["x-api-key", foreign], KEY), ["x-api-key", foreign]);
  });

  it("a value with a colon never moves into a password", async () => {
    const headers = ["authorization", basic(`${PLACEHOLDER}:`)];
    assert.deepEqual(await sent(headers, bound("authorization", "user:pass:word")), headers);
  });

  it("two secrets of one host go into their own headers", async () => {
    const other = { ...bound("x-other", "other-value"), name: "OTHER", placeholder: "dwother" };
    const result = await substituteHeaders(["x-api-key", PLACEHOLDER, "x-other", "dwother"], [KEY, other]);
    assert.deepEqual(result.rawHeaders, ["x-api-key", VALUE, "x-other", "other-value"]);
    assert.deepEqual(result.used, ["API_KEY", "OTHER"]);
  });

  it("a secret's placeholder in another secret's header stays what it is", async () => {
    const other = { ...bound("x-other", "other-value"), name: "OTHER", placeholder: "dwother" };
    assert.deepEqual(await sent(["x-other", PLACEHOLDER], KEY, other), ["x-other", PLACEHOLDER]);
  });

  it("a value that can't be read fails the request, and nothing goes out", async () => {
    const broken = { ...KEY, value: () => Promise.reject(new Error("gone")) };
    await assert.rejects(sent(["x-api-key", PLACEHOLDER], broken), /gone/);
  });

  it("the value is not read for a request without the placeholder", async () => {
    const unread = { ...KEY, value: () => Promise.reject(new Error("read")) };
    assert.deepEqual(await sent(["x-api-key", "mine"], unread), ["x-api-key", "mine"]);
  });
});

describe("a host that a secret is bound to is asked for answers that can be looked through", () => {
  const request = (rawHeaders: readonly string[], method = "GET") => ({
    host: "api.test",
    method,
    rawHeaders,
  });

  for (const [name, value] of [
    ["Range", "bytes=0-3"],
    ["range", "bytes=0-3,4-7"],
    ["If-Range", '"etag"'],
    ["Accept-Encoding", "gzip, br, zstd"],
    ["TE", "trailers, gzip"],
    ["A-IM", "gzip"],
    ["Want-Digest", "sha-256"],
    ["Upgrade", "h2c"],
    ["HTTP2-Settings", "AAMAAABkAAQAAP__"],
  ] as const) {
    it(`"${name}: ${value}" does not go out`, () => {
      assert.deepEqual(boundRequestHeaders(request(["Host", "api.test", name, value])), [
        "Host",
        "api.test",
        "Accept-Encoding",
        "identity",
      ]);
    });
  }

  for (const method of ["TRACE", "trace", "TRACK", "CONNECT"]) {
    it(`${method} is refused`, () => {
      assert.throws(() => boundRequestHeaders(request([], method)), { code: "EGRESS_DENIED" });
    });
  }

  it("a WebSocket is asked for without extensions", () => {
    const offered = ["Sec-WebSocket-Extensions", "permessage-deflate", "Sec-WebSocket-Key", "x"];
    const sent = boundRequestHeaders(request(["Upgrade", "websocket", ...offered]));
    assert.deepEqual(sent, ["Sec-WebSocket-Key", "x", "Accept-Encoding", "identity"]);
  });

  it("a WebSocket that was asked for passes, unless it has an extension", () => {
    guardBoundAnswer("api.test", 101, ["Upgrade", "websocket"], true);
    const extended = ["Upgrade", "websocket", "Sec-WebSocket-Extensions", "permessage-deflate"];
    assert.throws(() => guardBoundAnswer("api.test", 101, extended, true), { code: "EGRESS_ANSWER_REFUSED" });
  });

  for (const [what, status, headers] of [
    ["gzip", 200, ["Content-Encoding", "gzip"]],
    ["zstd", 200, ["content-encoding", "zstd"]],
    ["gzip after identity", 200, ["content-encoding", "identity, gzip"]],
    ["gzip in a second header", 200, ["content-encoding", "identity", "content-encoding", "gzip"]],
    ["a packed transfer", 200, ["transfer-encoding", "gzip, chunked"]],
    ["a part", 206, ["content-range", "bytes 0-3/100"]],
    ["another protocol", 101, ["upgrade", "websocket"]],
  ] as const) {
    it(`an answer in the form of ${what} is refused`, () => {
      assert.throws(() => guardBoundAnswer("api.test", status, headers), { code: "EGRESS_ANSWER_REFUSED" });
    });
  }

  it("plain answers pass", () => {
    guardBoundAnswer("api.test", 200, ["content-encoding", "identity", "transfer-encoding", "chunked"]);
    guardBoundAnswer("api.test", 404, []);
  });
});
