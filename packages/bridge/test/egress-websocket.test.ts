import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import { after, before, describe, it } from "node:test";
import { connect } from "node:tls";
import type { Duplex } from "node:stream";
import fc from "fast-check";
import { WebSocket, WebSocketServer } from "ws";
import { FrameMask } from "../src/egress/proxy/frame-mask.ts";
import { AnswerMask } from "../src/secrets/index.ts";
import { askTunnel, collect, listening, startProxyLab, type ProxyLab } from "./egress-proxy-lab.ts";

const PLACEHOLDER = "sk-dw0123456789abcdef";
const VALUE = "sk-The/real+value=42-of-an-api";
const STARS = "*".repeat(VALUE.length);
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";

/** One frame as a server sends it: first byte, then the payload. */
function frame(first: number, payload: string | Buffer): Buffer {
  const bytes = Buffer.from(payload as string, "latin1");
  const head = bytes.length < 126 ? Buffer.from([first, bytes.length]) : Buffer.from([first, 126, 0, 0]);
  if (bytes.length >= 126) head.writeUInt16BE(bytes.length, 2);
  return Buffer.concat([head, bytes]);
}

describe("a WebSocket to a host that a secret is bound to", () => {
  let lab: ProxyLab;
  let server: Server;
  const seen: IncomingMessage[] = [];
  /** What the far side does behind an upgrade, by path. */
  const sends = new Map<string, (socket: Duplex, request: IncomingMessage) => void>();

  before(async () => {
    lab = await startProxyLab();
    server = createServer({ SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) });
    server.on("request", (request, response) => {
      const echo = request.rawHeaders.join(" ");
      response.writeHead(401, { "x-echo": echo, "content-length": echo.length }).end(echo);
    });
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: true });
    sockets.on("headers", (headers, request) => headers.push(`x-echo: ${request.headers.authorization}`));
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      seen.push(request);
      const send = sends.get(request.url ?? "");
      if (send === undefined) sockets.handleUpgrade(request, socket, head, speak);
      else
        send(
          socket.on("error", () => undefined),
          request,
        );
    });
    lab.allow({ host: "api.test" }, await listening(server));
    lab.bind("api.test", {
      ...{ name: "API_KEY", header: "authorization", placeholder: PLACEHOLDER },
      value: () => Promise.resolve(VALUE),
    });
  });

  after(async () => {
    server.close().closeAllConnections();
    await lab[Symbol.asyncDispose]();
  });

  /** Echoes what it is sent, and on request what the handshake held. */
  function speak(socket: WebSocket): void {
    const given = seen.at(-1)?.headers.authorization ?? "";
    socket.on("message", (data, binary) => {
      const text = (data as Buffer).toString();
      if (text === "text") socket.send(`{"error":"wrong key: ${given}"}`);
      else if (text === "bytes") socket.send(Buffer.from(given));
      else if (text === "ping") socket.ping(given);
      else if (text === "close") socket.close(4001, given);
      else if (text === "fragments") {
        for (const char of given) socket.send(char, { fin: false });
        socket.send("", { fin: true });
      } else if (text === "messages") for (const char of `${given}.`) socket.send(char);
      else socket.send(data, { binary });
    });
  }

  async function tunnel(): Promise<Duplex> {
    const socket = await lab.dialProxy();
    assert.match(await askTunnel(socket, "api.test:443"), / 200 /);
    const opened = connect({ socket, servername: "api.test", ca: lab.ca.certificate });
    await once(opened, "secureConnect");
    return opened;
  }

  async function open(): Promise<{ readonly socket: WebSocket; readonly answer: IncomingMessage }> {
    const opened = await tunnel();
    const socket = new WebSocket("ws://api.test/v1/realtime", {
      headers: { authorization: `Bearer ${PLACEHOLDER}`, host: "api.test" },
      createConnection: () => opened as never,
    });
    const [[answer]] = (await Promise.all([once(socket, "upgrade"), once(socket, "open")])) as [
      [IncomingMessage],
      unknown,
    ];
    return { socket, answer };
  }

  /** Asks for an upgrade and answers everything that came. */
  async function raw(path: string): Promise<string> {
    const opened = await tunnel();
    opened.on("error", () => undefined);
    opened.write(
      `GET ${path} HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: ${PLACEHOLDER}\r\n\r\n`,
    );
    const answer = await collect(opened);
    opened.destroy();
    return answer.toString("latin1");
  }

  it("goes out with the value in its header and without an offer to pack", async () => {
    const { socket, answer } = await open();
    assert.equal(seen.at(-1)?.headers.authorization, `Bearer ${VALUE}`);
    assert.equal(seen.at(-1)?.headers["sec-websocket-extensions"], undefined);
    assert.equal(socket.extensions, "");
    assert.equal(answer.headers["x-echo"], `Bearer ${STARS}`);
    socket.terminate();
  });

  it("carries text and bytes of any size both ways", async () => {
    const { socket } = await open();
    for (const sent of ["hello", "ü".repeat(100_000), "", Buffer.alloc(3_000_000, 7)]) {
      socket.send(sent);
      const [data, binary] = (await once(socket, "message")) as [Buffer, boolean];
      assert.ok(data.equals(Buffer.from(sent as string)));
      assert.equal(binary, typeof sent !== "string");
    }
    socket.terminate();
  });

  it("has stars for the value in messages, also in fragments, in pings and in the reason of its end", async () => {
    const { socket } = await open();
    const heard = async (ask: string, event: string): Promise<string> => {
      socket.send(ask);
      const [first, second] = (await once(socket, event)) as [Buffer, Buffer];
      return String(event === "close" ? second : first);
    };
    assert.equal(await heard("text", "message"), `{"error":"wrong key: Bearer ${STARS}"}`);
    assert.equal(await heard("bytes", "message"), `Bearer ${STARS}`);
    assert.equal(await heard("fragments", "message"), `Bearer ${STARS}`);
    assert.equal(await heard("ping", "ping"), `Bearer ${STARS}`);
    assert.equal(await heard("close", "close"), `Bearer ${STARS}`);
  });

  it("tells less than eight characters of a value that comes in messages of one", async () => {
    const { socket } = await open();
    let all = "";
    socket.on("message", (data) => (all += (data as Buffer).toString()));
    socket.send("messages");
    while (!all.endsWith(".")) await once(socket, "message");
    assert.equal(all, `Bearer ${VALUE.slice(0, 7)}${STARS.slice(7)}.`);
    socket.terminate();
  });

  it("is masked too when the far side does not switch", async () => {
    server.removeAllListeners("upgrade");
    const answer = await raw("/refused");
    assert.match(answer, /^HTTP\/1\.1 401 /);
    assert.equal(answer.split(STARS).length, 3);
    assert.ok(!answer.includes(VALUE));
    server.on("upgrade", (request: IncomingMessage, socket: Duplex) => {
      sends.get(request.url ?? "")?.(
        socket.on("error", () => undefined),
        request,
      );
    });
  });

  it("breaks off where an answer that does not switch breaks off: nothing is added to it, and it does not end", async () => {
    sends.set("/broken", (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      setTimeout(() => socket.destroy(), 200);
    });
    const answer = await raw("/broken");
    assert.match(answer, /^HTTP\/1\.1 200 [^]*hello/);
    assert.ok(!answer.includes("502"), answer);
  });

  it("has one value for a request and for its mask, also where the secret is replaced in between", async () => {
    const values = ["the-old-value-of-it-0123456789", "the-new-value-of-it-0123456789"];
    const placeholder = "DW_PLACEHOLDER_SWAPPED_0123456789";
    lab.bind("api.test", {
      ...{ name: "SWAPPED", header: "x-api-key", placeholder },
      value: () => Promise.resolve(values.shift() ?? "the-last-value-of-it"),
    });
    sends.set("/swapped", (socket, { headers }) => {
      const echo = String(headers["x-api-key"]);
      socket.end(`HTTP/1.1 401 No\r\nContent-Length: ${String(echo.length)}\r\n\r\n${echo}`);
    });
    const opened = await tunnel();
    opened.write(
      `GET /swapped HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-Api-Key: ${placeholder}\r\n\r\n`,
    );
    const answer = (await collect(opened)).toString("latin1");
    assert.match(answer, /^HTTP\/1\.1 401 [^]*\*{8}/);
    assert.ok(!answer.includes("value-of-it"), answer);
  });

  it("is refused with an extension that was not asked for", async () => {
    sends.set("/packed", (socket) =>
      socket.end(`${SWITCHED}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n${VALUE}`),
    );
    const answer = await raw("/packed");
    assert.match(answer, /^HTTP\/1\.1 502 [\s\S]*EGRESS_ANSWER_REFUSED/);
    assert.ok(!answer.includes(VALUE));
  });

  for (const [what, bytes] of [
    ["a packed frame", frame(0xc1, VALUE)],
    ["a frame of an unknown extension", frame(0x91, VALUE)],
    ["a frame of an unknown kind", frame(0x83, VALUE)],
    ["an unknown control frame", frame(0x8b, VALUE)],
    ["a scrambled frame", Buffer.from([0x81, 0x84, 1, 2, 3, 4, 5, 6, 7, 8])],
    ["a control frame in fragments", frame(0x09, VALUE)],
    ["a long control frame", Buffer.concat([Buffer.from([0x89, 126, 0, 200]), Buffer.alloc(200, 65)])],
    ["a frame of 2^63 bytes", Buffer.from([0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 65])],
    ["a continuation of nothing", frame(0x80, VALUE)],
    ["a message within a message", Buffer.concat([frame(0x01, "a"), frame(0x81, VALUE)])],
    ["an answer of HTTP", Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n${VALUE}`)],
  ] as const) {
    it(`is cut at ${what}`, async () => {
      sends.set("/hostile", (socket) => socket.write(Buffer.concat([Buffer.from(`${SWITCHED}\r\n`), bytes])));
      const answer = await raw("/hostile");
      assert.match(answer, /^HTTP\/1\.1 101 /);
      assert.ok(!answer.includes(VALUE.slice(0, 8)), answer);
      assert.equal(lab.booked.at(-1)?.failure, "EGRESS_ANSWER_REFUSED");
    });
  }
});

/** The messages in a run of frames as they come out, control frames apart. */
function messagesIn(bytes: Buffer): { readonly messages: Buffer[]; readonly controls: Buffer[] } {
  const [messages, controls, parts]: [Buffer[], Buffer[], Buffer[]] = [[], [], []];
  for (let at = 0; at < bytes.length;) {
    const [first = 0, short = 0] = bytes.subarray(at);
    const head = short < 126 ? 2 : 4;
    const length = short < 126 ? short : bytes.readUInt16BE(at + 2);
    const payload = bytes.subarray(at + head, at + head + length);
    at += head + length;
    if ((first & 0x0f) >= 8) controls.push(payload);
    else {
      assert.equal((first & 0x0f) === 0, parts.length > 0, "continuations follow a begin");
      parts.push(payload);
      if (first >= 0x80) messages.push(Buffer.concat(parts.splice(0)));
    }
  }
  return { messages, controls };
}

/** Messages with pings between their frames, cut into chunks of any size. */
function passed(sent: readonly (readonly Buffer[])[], cuts: readonly number[]): Buffer {
  const mask = new FrameMask(new AnswerMask([VALUE], [VALUE]));
  const wire = Buffer.concat(
    sent.flatMap((parts) => [
      ...parts.flatMap((part, at) => [frame(at === 0 ? 0x02 : 0x00, part), frame(0x89, "p")]),
      frame(parts.length === 0 ? 0x82 : 0x80, ""),
    ]),
  );
  const out: Buffer[] = [];
  for (let at = 0, turn = 0; at < wire.length; turn += 1) {
    const size = cuts.length === 0 ? wire.length : (cuts[turn % cuts.length] ?? 1);
    out.push(mask.next(wire.subarray(at, at + size)));
    at += size;
  }
  return Buffer.concat(out);
}

describe("frames, wherever they and the stream are cut", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 12 });

  it("say the same when there is nothing to mask", () => {
    const message = fc.array(fc.uint8Array({ maxLength: 150 }), { maxLength: 5 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), cuts, (given, at) => {
        const sent = given.map((parts) => parts.map((part) => Buffer.from(part)));
        const { messages, controls } = messagesIn(passed(sent, at));
        assert.deepEqual(
          messages,
          sent.map((parts) => Buffer.concat(parts)),
        );
        assert.equal(controls.length, sent.flat().length);
      }),
    );
  });

  it("never say eight characters in a row of the value", () => {
    const places = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 12 });
    fc.assert(
      fc.property(places, fc.boolean(), cuts, (lengths, fragments, at) => {
        const text = Buffer.from(`a key: ${VALUE} and again ${VALUE}${VALUE}.`);
        const parts: Buffer[] = [];
        for (let from = 0, turn = 0; from < text.length; turn += 1) {
          const size = lengths.length === 0 ? text.length : (lengths[turn % lengths.length] ?? 1);
          parts.push(text.subarray(from, from + size));
          from += size;
        }
        const { messages } = messagesIn(passed(fragments ? [parts] : parts.map((part) => [part]), at));
        const said = Buffer.concat(messages).toString();
        assert.equal(said.length, text.length);
        for (let run = 0; run + 8 <= VALUE.length; run += 1)
          assert.ok(!said.includes(VALUE.slice(run, run + 8)), said);
      }),
    );
  });
});
