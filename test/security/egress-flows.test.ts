import assert from "node:assert/strict";
import { createServer as createHttp } from "node:http";
import { connect as connectHttp2, createSecureServer } from "node:http2";
import { createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { WebSocket } from "ws";
import { askTunnel, collect, listening } from "../../packages/bridge/test/egress-proxy-lab.ts";
import { freePort } from "../support/free-port.ts";
import { digest, farSide, PACKED, patterned } from "./egress-flows-far.ts";
import { HOSTS, MODES, bodyOf, echoed, startFlowsLab, type FlowsLab } from "./egress-flows-lab.ts";

/** For so long the proxy keeps an idle connection at least; on a host that stands still longer it makes another. */
const KEPT_MS = 3000;

let flows: FlowsLab;
before(async () => {
  flows = await startFlowsLab();
});
after(async () => {
  await flows[Symbol.asyncDispose]();
});

for (const mode of MODES) {
  test(`${mode}: an answer arrives`, async () => {
    const answer = await flows.ask(mode, "/text");
    assert.equal(answer.statusCode, 200);
    assert.equal((await bodyOf(answer)).toString(), "text");
  });
  test(`${mode}: a path and query arrive as they were written`, async () => {
    const path = "/echo?a=%2F..%2F&b=%C3%A4;c=1//2";
    assert.equal((await echoed(await flows.ask(mode, path))).url, path);
  });
  test(`${mode}: a long download arrives whole`, async () => {
    assert.equal(digest(await bodyOf(await flows.ask(mode, "/big"))), digest(patterned(20_000_000)));
  });
  test(`${mode}: a large upload of known length arrives whole`, async () => {
    const bytes = patterned(8_000_000);
    const answer = await flows.ask(mode, "/echo", {
      method: "PUT",
      headers: { "content-length": "8000000" },
      body: [bytes],
    });
    const { sha256, size, headers } = await echoed(answer);
    assert.equal(size, 8_000_000);
    assert.equal(sha256, digest(bytes));
    assert.equal(headers["content-length"], "8000000");
  });
  test(`${mode}: a chunked upload with trailers arrives whole`, async () => {
    const body = [patterned(100_000), Buffer.from("x"), patterned(70_000)];
    const headers = { "transfer-encoding": "chunked", trailer: "x-sum" };
    const answer = await flows.ask(mode, "/echo", {
      method: "POST",
      headers,
      body,
      trailers: { "x-sum": "7" },
    });
    const seen = await echoed(answer);
    assert.equal(seen.sha256, digest(Buffer.concat(body)));
    assert.deepEqual(seen.rawTrailers, ["x-sum", "7"]);
  });
  test(`${mode}: an answer in chunks arrives, and ends`, async () => {
    assert.match(
      (await bodyOf(await flows.ask(mode, "/chunks"))).toString(),
      /^chunk 4\n(chunk \d\n){3}chunk 0\n$/,
    );
  });
  test(`${mode}: an event arrives while its stream stays open`, async () => {
    const answer = await flows.ask(mode, "/events");
    const first = await new Promise<Buffer>((resolve) => answer.once("data", resolve));
    assert.equal(first.toString(), "data: first\n\n");
    answer.destroy();
  });
  test(`${mode}: HEAD, 204 and 304 have no body and keep the connection`, async () => {
    const over = await flows.reach(mode);
    const head = await flows.ask(mode, "/sized", { method: "HEAD", over });
    assert.equal(head.headers["content-length"], "1234");
    assert.equal((await bodyOf(head)).length, 0);
    for (const [path, status] of [
      ["/none", 204],
      ["/same", 304],
      ["/text", 200],
    ] as const) {
      const answer = await flows.ask(mode, path, { over });
      assert.equal(answer.statusCode, status);
      await bodyOf(answer);
    }
    over.destroy();
  });
  test(`${mode}: trailers of an answer arrive`, async () => {
    const answer = await flows.ask(mode, "/trailers");
    assert.equal((await bodyOf(answer)).toString(), "body");
    assert.equal(answer.trailers["x-sum"], "42");
  });
  test(`${mode}: packed bytes stay packed`, async () => {
    const answer = await flows.ask(mode, "/packed", { headers: { "accept-encoding": "gzip" } });
    assert.equal(answer.headers["content-encoding"], "gzip");
    assert.deepEqual(await bodyOf(answer), PACKED);
  });
  test(`${mode}: a part of a file arrives`, async () => {
    const answer = await flows.ask(mode, "/part", { headers: { range: "bytes=100-4999" } });
    assert.equal(answer.statusCode, 206);
    assert.deepEqual(await bodyOf(answer), patterned(10_000).subarray(100, 5000));
  });
  test(`${mode}: a redirect is passed on, not followed`, async () => {
    const answer = await flows.ask(mode, "/moved");
    assert.equal(answer.statusCode, 302);
    assert.equal(answer.headers.location, "http://127.0.0.1:1/");
    answer.resume();
  });
  test(`${mode}: two cookies stay two headers, and a reason stays`, async () => {
    const answer = await flows.ask(mode, "/cookies");
    assert.deepEqual(answer.headers["set-cookie"], ["a=1", "b=2"]);
    answer.resume();
    const missing = await flows.ask(mode, "/missing");
    assert.deepEqual([missing.statusCode, missing.statusMessage], [404, "Nowhere"]);
    missing.resume();
  });
  test(`${mode}: an upload waits for 100 Continue and gets it`, async () => {
    const stream = await flows.reach(mode);
    const host = HOSTS[mode];
    const path = mode === "plain" ? `http://${host}/echo` : "/echo";
    stream.write(
      `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n`,
    );
    assert.match(
      (await collect(stream, (bytes) => bytes.includes("\r\n\r\n"))).toString(),
      /^HTTP\/1\.1 100 /,
    );
    stream.write("body");
    assert.match(
      (await collect(stream, (bytes) => bytes.includes('"size":4'))).toString(),
      /^HTTP\/1\.1 200 /,
    );
    stream.destroy();
  });
  test(`${mode}: a WebSocket carries text and bytes both ways`, async () => {
    const stream = await flows.reach(mode);
    const host = HOSTS[mode];
    const path = mode === "plain" ? `http://${host}/` : "/";
    const socket = new WebSocket(`ws://${host}/`, {
      // A stream of TLS or TCP, which are both sockets.
      createConnection: () => stream as unknown as Socket,
      finishRequest: (request) => {
        (request as unknown as { path: string }).path = path;
        request.end();
      },
    });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const bytes = patterned(300_000);
    socket.send("hello");
    socket.send(bytes);
    const got: Buffer[] = [];
    await new Promise<void>((resolve) => {
      socket.on("message", (data) => {
        got.push(data as Buffer);
        if (got.length === 2) resolve();
      });
    });
    assert.equal(got[0]?.toString(), "hello");
    assert.deepEqual(got[1], bytes);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.close(1000);
    assert.equal(await closed, 1000);
  });
}

test("HTTP/2 passes inside a blind tunnel", async () => {
  const server = createSecureServer({
    SNICallback: (name, done) => done(null, flows.lab.farCa.contextFor(name)),
  });
  server.on("stream", (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("over two");
  });
  flows.lab.allow({ host: "two.test" }, await listening(server));
  const socket = await flows.lab.dialProxy();
  await askTunnel(socket, "two.test:443");
  const secured = connectTls({
    socket,
    servername: "two.test",
    ca: flows.lab.farCa.certificate,
    ALPNProtocols: ["h2"],
  });
  const session = connectHttp2("https://two.test", { createConnection: () => secured });
  const bodies = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const stream = session.request({ ":path": "/" });
      return (await collect(stream)).toString();
    }),
  );
  assert.deepEqual(new Set(bodies), new Set(["over two"]));
  session.destroy();
  server.close();
});

test("a request after a refused one on the same connection is served", async () => {
  const over = await flows.lab.dialProxy();
  over.write("GET http://nowhere.test/ HTTP/1.1\r\nHost: nowhere.test\r\n\r\n");
  const refused = (await collect(over, (bytes) => bytes.includes("--port 80\n"))).toString();
  assert.match(refused, /^HTTP\/1\.1 403 /);
  assert.match(
    refused,
    /\r\nDoorward-Egress: denied; code="EGRESS_DENIED"; rule="[^"]+"; allow="doorward egress allow crate nowhere\.test --port 80"\r\n/,
  );
  over.write("GET http://plain.test/text HTTP/1.1\r\nHost: plain.test\r\nConnection: close\r\n\r\n");
  assert.match((await collect(over)).toString(), /^HTTP\/1\.1 200 [\s\S]*text$/);
});

test("a host that is down answers 502, and the next try is served when it is up", async () => {
  const port = await freePort();
  flows.lab.allow({ host: "late.test", ports: [80, 443] }, port);
  const text = "GET http://late.test/text HTTP/1.1\r\nHost: late.test\r\nConnection: close\r\n\r\n";
  const once = async (): Promise<string> => {
    const socket = await flows.lab.dialProxy();
    socket.write(text);
    return (await collect(socket)).toString();
  };
  assert.match(await once(), /^HTTP\/1\.1 502 [\s\S]*EGRESS_UNREACHABLE/);
  const tunnel = await flows.lab.dialProxy();
  assert.match(await askTunnel(tunnel, "late.test:443"), /^HTTP\/1\.1 502 /);
  tunnel.destroy();
  const server = createHttp(farSide);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  assert.match(await once(), /^HTTP\/1\.1 200 /);
  server.closeAllConnections();
  server.close();
});

test("requests that are sent ahead are answered in their order", async () => {
  const socket = await flows.lab.dialProxy();
  const one = (path: string, rest = ""): string =>
    `GET http://plain.test${path} HTTP/1.1\r\nHost: plain.test\r\n${rest}\r\n`;
  socket.write(one("/chunks") + one("/text") + one("/missing", "Connection: close\r\n"));
  const statuses = (await collect(socket)).toString().match(/HTTP\/1\.1 \d+|chunk 0|text/g);
  assert.deepEqual(statuses, ["HTTP/1.1 200", "chunk 0", "HTTP/1.1 200", "text", "HTTP/1.1 404"]);
});

test("a program that ends its side behind its request reads the whole answer", async () => {
  const socket = await flows.lab.dialProxy();
  socket.end("GET http://plain.test/chunks HTTP/1.1\r\nHost: plain.test\r\n\r\n");
  assert.match((await collect(socket)).toString(), /chunk 0/);
});

test("half-close passes through a tunnel both ways, and the far side may speak first", async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.write("220 ready\r\n");
    void collect(socket).then((bytes) => socket.end(`got ${bytes.length}`));
  });
  flows.lab.allow({ host: "raw.test", ports: [2222] }, await listening(server));
  const socket = await flows.lab.dialProxy();
  await askTunnel(socket, "raw.test:2222");
  const greeting = await collect(socket, (bytes) => bytes.includes("\n"));
  assert.equal(greeting.toString(), "220 ready\r\n");
  socket.end(patterned(500_000));
  assert.equal((await collect(socket)).toString(), "got 500000");
  server.close();
});

test("requests of one program reuse the connection to the far side", async () => {
  for (let round = 0, took = Infinity; took > KEPT_MS; round += 1) {
    const host = `reuse${round}.test`;
    let connections = 0;
    const server = createHttp(farSide).on("connection", () => (connections += 1));
    flows.lab.allow({ host, ports: [80] }, await listening(server));
    const socket = await flows.lab.dialProxy();
    const began = performance.now();
    for (let at = 0; at < 10; at += 1) {
      socket.write(`GET http://${host}/text HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await collect(
        socket,
        (bytes) => bytes.toString().endsWith("text\r\n0\r\n\r\n") || bytes.toString().endsWith("text"),
      );
    }
    took = performance.now() - began;
    if (took <= KEPT_MS) assert.equal(connections, 1);
    socket.destroy();
    server.closeAllConnections();
    server.close();
  }
});

test("headers of the hop stay on the hop, and all others pass as they were", async () => {
  const headers = {
    "proxy-authorization": "x",
    "proxy-connection": "keep-alive",
    te: "trailers",
    connection: "x-hop",
    "x-hop": "1",
    "x-end": "2",
  };
  const seen = (await echoed(await flows.ask("plain", "/echo", { headers }))).headers;
  assert.equal(seen["x-end"], "2");
  for (const name of ["proxy-authorization", "proxy-connection", "te", "x-hop"])
    assert.equal(seen[name], undefined, name);
});

test("what passed is in the books, by host and bytes each way", async () => {
  const before = flows.lab.booked.length;
  await bodyOf(await flows.ask("blind", "/big"));
  const entry = flows.lab.booked[before];
  assert.deepEqual([entry?.host, entry?.via, entry?.address], ["blind.test", "connect", "127.0.0.1"]);
  assert.ok((entry?.received ?? 0) > 20_000_000 && (entry?.sent ?? 0) > 300);
});
