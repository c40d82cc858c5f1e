import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { OwnTime } from "../../../test/support/own-time.ts";
import {
  ask,
  closing,
  dialDoor,
  eventually,
  nextText,
  raw,
  startGateway,
  type Bench,
} from "./gateway-harness.ts";

describe("hostile callers", () => {
  let bench: Bench;
  let token: string;
  let host: string;
  before(async () => {
    bench = await startGateway({ config: { limits: { requestsPerSecond: 10_000, frameBytes: 65_536 } } });
    ({ token } = await bench.grant());
    host = `Host: 127.0.0.1:${String(bench.port)}`;
  });
  after(async () => {
    assert.equal((await ask({ port: bench.port }, { path: "/healthz" })).status, 200, "the bridge lives");
    assert.equal((await ask({ socketPath: bench.socket }, { path: "/v1/machines" })).status, 200);
    await bench[Symbol.asyncDispose]();
  });
  const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
    ask({ socketPath: bench.socket }, { method: "POST", path: "/v1/policy/check", body, headers });

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

  const line = (first: string, ...headers: string[]) => [first, host_(), ...headers, "", ""].join("\r\n");
  const host_ = () => host;
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

  const frames: [string, Buffer, number][] = [
    ["an unmasked frame", Buffer.from([0x81, 0x02, 0x68, 0x69]), 1002],
    ["reserved bits", Buffer.from([0xf1, 0x80, 0, 0, 0, 0]), 1002],
    ["an unknown opcode", Buffer.from([0x83, 0x80, 0, 0, 0, 0]), 1002],
    ["a fragmented ping", Buffer.from([0x09, 0x80, 0, 0, 0, 0]), 1002],
    ["a continuation of nothing", Buffer.from([0x80, 0x80, 0, 0, 0, 0]), 1002],
    ["text that is no UTF-8", Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]), 1007],
    [
      "a frame that says it is too large",
      Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
      1009,
    ],
    [
      "a frame of 2^63 bytes",
      Buffer.from([0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
      1009,
    ],
    ["a compressed frame", Buffer.from([0xc1, 0x81, 0, 0, 0, 0, 0x41]), 1002],
  ];
  for (const [what, frame, code] of frames) {
    it(`${what} closes the socket with ${String(code)} and is recorded`, async () => {
      const closed = bench.evidence.closed.length;
      const { wire, received } = await upgraded(bench, token);
      wire.write(frame);
      await eventually(() => bench.evidence.closed.length > closed, "the end is recorded");
      wire.destroy();
      assert.ok(
        received().includes(Buffer.from([0x88, 0x02, code >> 8, code & 255])),
        received().toString("hex"),
      );
    });
  }
  it("a message in endless fragments is cut at the limit", async () => {
    const { wire, received } = await upgraded(bench, token);
    const part = Buffer.concat([Buffer.from([0x00, 0xfe, 0x40, 0x00, 0, 0, 0, 0]), Buffer.alloc(0x4000)]);
    wire.write(Buffer.from([0x02, 0x80, 0, 0, 0, 0]));
    for (let at = 0; at < 8; at += 1) wire.write(part);
    await eventually(() => received().includes(Buffer.from([0x88, 0x02, 1009 >> 8, 1009 & 255])), "1009");
    wire.destroy();
  });
  it("compression is never agreed", async () => {
    const socket = await dialDoor(bench, { token, options: { perMessageDeflate: true } });
    assert.equal(socket.extensions, "");
    socket.terminate();
  });
  it("input hidden behind the handshake is not run before the start is recorded", async () => {
    bench.evidence.fails = true;
    try {
      const received = bench.door.received.length;
      const socket = connect(bench.port, "127.0.0.1").on("error", () => undefined);
      socket.resume();
      socket.write(
        Buffer.concat([Buffer.from(handshake(bench, token)), Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x41])]),
      );
      await once(socket, "close");
      assert.equal(bench.door.received.length, received);
    } finally {
      bench.evidence.fails = false;
    }
  });
  for (const key of [
    "",
    "short",
    "!".repeat(24),
    "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ]) {
    it(`a handshake with key ${JSON.stringify(key.slice(0, 12))} (${String(key.length)}) is refused`, async () => {
      const text = await raw(bench.port, handshake(bench, token).replace("dGhlIHNhbXBsZSBub25jZQ==", key));
      assert.match(text, /^HTTP\/1\.1 400 /);
    });
  }
  it("subprotocols that are malformed or doubled are refused", async () => {
    for (const header of [
      "doorward.terminal.v1,",
      "doorward.terminal.v1, doorward.terminal.v1",
      "doorward.terminal.v1 x",
      ", doorward.terminal.v1",
    ]) {
      const text = await raw(bench.port, handshake(bench, token).replace("doorward.terminal.v1", header));
      assert.match(text, /^HTTP\/1\.1 400 /, header);
    }
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

describe("hostile connections", () => {
  it("slow headers and slow bodies are cut off in time, others are served meanwhile", async () => {
    await using bench = await startGateway({ config: { limits: { headersMs: 400, requestMs: 600 } } });
    using since = new OwnTime();
    const drip = (first: string): { socket: Socket; ended: Promise<number> } => {
      const socket = connect(bench.port, "127.0.0.1").on("error", () => undefined);
      socket.resume().write(first);
      const timer = setInterval(() => socket.write("a"), 50);
      const ended = once(socket, "close").then(() => {
        clearInterval(timer);
        return since.ms;
      });
      return { socket, ended };
    };
    const head = `Host: 127.0.0.1:${String(bench.port)}\r\n`;
    const { token } = await bench.grant();
    const slow = [
      drip(`GET /healthz HTTP/1.1\r\n${head}X-A: `),
      drip(
        `POST /v1/grants/g_0123456789/narrow HTTP/1.1\r\n${head}Authorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
      ),
    ];
    const silent = connect(bench.port, "127.0.0.1").on("error", () => undefined);
    const silentEnd = once(silent.resume(), "close");
    assert.equal((await ask({ port: bench.port }, { path: "/healthz" })).status, 200);
    const ends = await Promise.all(slow.map(({ ended }) => ended));
    await silentEnd;
    assert.ok(Math.max(...ends) < 10_000, String(ends));
  });

  it("1,000 idle connections neither stop the bridge nor the operator", async () => {
    await using bench = await startGateway({ config: { limits: { headersMs: 20_000 } } });
    const idle = await hoard(bench.port, 1000);
    const began = performance.now();
    assert.equal((await ask({ port: bench.port }, { path: "/healthz" })).status, 200);
    assert.equal((await ask({ socketPath: bench.socket }, { path: "/v1/machines" })).status, 200);
    console.log(`two requests beside 1,000 connections took ${(performance.now() - began).toFixed(1)} ms`);
    for (const socket of idle) socket.destroy();
  });

  it("connections beyond the limit are dropped on TCP, and the operator's socket still answers", async () => {
    await using bench = await startGateway({ config: { limits: { connections: 50 } } });
    const idle = await hoard(bench.port, 50);
    await assert.rejects(ask({ port: bench.port }, { path: "/healthz" }));
    assert.equal((await ask({ socketPath: bench.socket }, { path: "/v1/machines" })).status, 200);
    for (const socket of idle) socket.destroy();
    const served = () => ask({ port: bench.port }, { path: "/healthz" }).then(({ status }) => status);
    let status: number | undefined;
    // Refused for as long as the bridge has not seen them go.
    for (let tries = 0; status === undefined && tries < 6000; tries += 1) {
      status = await served().catch(() => undefined);
      if (status === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(status, 200);
  });

  it("opening and losing 500 door sockets leaves nothing behind", async () => {
    await using bench = await startGateway({ config: { limits: { requestsPerSecond: 10_000 } } });
    const { token } = await bench.grant();
    for (let round = 0; round < 10; round += 1) {
      const sockets = await Promise.all(Array.from({ length: 50 }, () => dialDoor(bench, { token })));
      for (const [at, socket] of sockets.entries()) {
        if (at % 2 === 0) socket.terminate();
        else socket.close();
      }
    }
    await eventually(() => bench.gateway.sessions.count === 0, "no session is left");
    await eventually(() => bench.evidence.closed.length === 500, "every end is recorded");
    assert.equal(bench.evidence.opened.length, 500);
  });

  it("a door that throws closes its socket and nothing else", async () => {
    await using bench = await startGateway();
    const { token } = await bench.grant();
    const fine = await dialDoor(bench, { token });
    await eventually(() => bench.door.sessions.length === 1, "the first session runs");
    Object.defineProperty(bench.door.sessions, "push", {
      value: () => {
        throw new Error("door broke");
      },
      configurable: true,
    });
    const broken = await dialDoor(bench, { token });
    assert.deepEqual(await closing(broken), { code: 1011, reason: "INTERNAL" });
    fine.send("still");
    assert.equal(await nextText(fine), "still");
    fine.terminate();
  });
});

async function hoard(port: number, count: number): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(port, "127.0.0.1").on("error", () => undefined);
      await once(socket, "connect");
      return socket;
    }),
  );
}

function handshake(bench: Bench, token: string): string {
  return [
    "GET /v1/machines/alpha/doors/terminal HTTP/1.1",
    `Host: 127.0.0.1:${String(bench.port)}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: doorward.terminal.v1",
    `Authorization: Bearer ${token}`,
    "\r\n",
  ].join("\r\n");
}

async function upgraded(bench: Bench, token: string): Promise<{ wire: Socket; received: () => Buffer }> {
  const sessions = bench.door.sessions.length;
  const wire = connect(bench.port, "127.0.0.1").on("error", () => undefined);
  const chunks: Buffer[] = [];
  wire.on("data", (chunk: Buffer) => chunks.push(chunk));
  wire.write(handshake(bench, token));
  await eventually(() => bench.door.sessions.length > sessions, "the session runs");
  return { wire, received: () => Buffer.concat(chunks) };
}
