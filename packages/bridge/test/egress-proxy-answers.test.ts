import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { collect, listening, startProxyLab, type ProxyLab } from "./egress-proxy-lab.ts";

const HEAD_MS = 2000;
const KEPT_MS = 300;
const SUM = "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n";
const BROKEN = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

describe("answers of far sides that say little, too much, or break off", () => {
  let lab: ProxyLab;
  let server: Server;
  let answer: (socket: Socket) => void;

  before(async () => {
    lab = await startProxyLab({ limits: { headMs: HEAD_MS, keepAliveMs: KEPT_MS } });
    server = createServer((socket) => {
      socket.on("error", () => undefined).once("data", () => answer(socket));
    });
    lab.allow({ host: "far.test", ports: [80] }, await listening(server));
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    server.close();
  });

  /** What a program gets for this head, and whether its connection ended in order. */
  async function ask(head: string, says: string): Promise<{ text: string; error: string | undefined }> {
    answer = (socket) => socket.end(says);
    const socket = await lab.dialProxy();
    let error: string | undefined;
    socket.once("error", (thrown) => (error = thrown.message));
    socket.write(`${head}\r\nHost: far.test\r\n\r\n`);
    const closed = once(socket, "close").catch(() => undefined);
    const text = (await collect(socket)).toString("latin1");
    socket.destroy();
    await closed;
    return { text, error };
  }

  it("an answer that announces trailers passes where none can follow it", async () => {
    const chunked = `HTTP/1.1 200 OK\r\n${SUM}\r\n`;
    const body = "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
    const head = await ask("HEAD http://far.test/ HTTP/1.1\r\nConnection: close", chunked);
    assert.match(head.text, /^HTTP\/1.1 200 OK\r\n/);
    const same = await ask(
      "GET http://far.test/ HTTP/1.1\r\nConnection: close",
      "HTTP/1.1 304 Not Modified\r\nTrailer: X-Sum\r\n\r\n",
    );
    assert.match(same.text, /^HTTP\/1.1 304 Not Modified\r\n/);
    const old = await ask("GET http://far.test/ HTTP/1.0", chunked + body);
    assert.match(old.text, /^HTTP\/1.1 200 OK\r\n(?:.*\r\n)+\r\nhello$/);
    const now = await ask("GET http://far.test/ HTTP/1.1\r\nConnection: close", chunked + body);
    assert.match(now.text, /Trailer: X-Sum\r\n[^]*5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n$/);
  });

  it("an answer that breaks off is no whole one for a program that knows neither lengths nor chunks", async () => {
    const old = await ask("GET http://far.test/ HTTP/1.0", BROKEN);
    assert.equal(old.error, "read ECONNRESET");
    const now = await ask("GET http://far.test/ HTTP/1.1", BROKEN);
    assert.match(now.text, /\r\n5\r\nhello\r\n$/, "its last chunk is missing");
  });

  it("an answer that switches to a protocol which nobody asked for is none", async () => {
    const { text } = await ask(
      "GET http://far.test/ HTTP/1.1\r\nConnection: close",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    );
    assert.match(text, /^HTTP\/1.1 502 /);
  });

  it("a body that is on its way behind its answer arrives, however long it takes", async () => {
    const parts = 8;
    let seen = 0;
    const whole = new Promise<void>((resolve) => {
      answer = (far) => {
        far.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        far.on("data", ({ length }: Buffer) => {
          seen += length;
          if (seen === parts * 10) resolve();
        });
        far.once("close", resolve);
      };
    });
    const socket = await lab.dialProxy();
    socket.write(
      `POST http://far.test/ HTTP/1.1\r\nHost: far.test\r\nContent-Length: ${String(parts * 10)}\r\n\r\n`,
    );
    await collect(socket, (bytes) => bytes.includes("ok"));
    socket.resume();
    for (let sent = 0; sent < parts; sent += 1) {
      await new Promise((resolve) => setTimeout(resolve, KEPT_MS / 3));
      socket.write("0123456789");
    }
    await whole;
    assert.equal(seen, parts * 10);
    await once(socket, "end");
    socket.destroy();
  });

  it("a program that was refused and stays is let go of", async () => {
    const asks = [
      "CONNECT no.test:443 HTTP/1.1\r\nHost: no.test:443\r\n\r\n",
      "CONNECT no.test:443 HTTP/1.1\r\nHost: other.test\r\n\r\n",
      "GET http://no.test/ HTTP/1.1\r\nHost: no.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      "\x05\x01\x02",
      "\x05\x01\x00\x05\x01\x00\x03\x07no.test\x01\xbb",
    ];
    await Promise.all(
      asks.map(async (asked) => {
        const socket = await lab.dialProxy();
        socket.write(Buffer.from(asked, "latin1"));
        socket.resume();
        await once(socket, "end");
        // Half open from now on: this program never ends its side.
      }),
    );
    await Promise.all([...lab.streams].map((stream) => once(stream, "close")));
    assert.equal(lab.streams.size, 0);
  });
});
