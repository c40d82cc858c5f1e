import assert from "node:assert/strict";
import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import type { Server, Socket } from "node:net";
import { after, before, test, type TestContext } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { DoorwardError } from "@doorward/contracts";
import type { MachineCa } from "../src/egress/tls/machine-ca.ts";
import { askTunnel, collect, listening, startProxyLab, type ProxyLab } from "./egress-proxy-lab.ts";

const VALUE = "sk-real-value-0123456789";
const PLACEHOLDER = "dwp_placeholder_0123456789";

let lab: ProxyLab;

before(async () => (lab = await startProxyLab()));
after(() => lab[Symbol.asyncDispose]());

async function far(t: TestContext, server: Server & { closeAllConnections(): void }): Promise<number> {
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return await listening(server);
}

async function boundFar(t: TestContext, host: string, ca: MachineCa, answer: RequestListener): Promise<void> {
  const server = createHttps({ SNICallback: (name, done) => done(null, ca.contextFor(name)) }, answer);
  lab.allow({ host }, await far(t, server));
  const value = (): Promise<string> => Promise.resolve(VALUE);
  lab.bind(host, { name: "KEY", header: "authorization", placeholder: PLACEHOLDER, value });
}

async function opened(t: TestContext, host: string): Promise<TLSSocket> {
  const socket: Socket = await lab.dialProxy();
  await askTunnel(socket, `${host}:443`);
  const secured = connectTls({ socket, servername: host, ca: lab.ca.certificate });
  t.after(() => secured.destroy());
  await new Promise((resolve, reject) => secured.once("secureConnect", resolve).once("error", reject));
  return secured;
}

const asking = (host: string, more = ""): string =>
  `GET / HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${PLACEHOLDER}\r\n${more}Connection: close\r\n\r\n`;

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let left = 12_000; left > 0 && !holds(); left -= 1) await new Promise((next) => setTimeout(next, 10));
  assert.ok(holds(), what);
}

test("no value goes to a far side with a foreign certificate, also where the bridge's environment turns checks off", async (t) => {
  const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
  t.after(() => {
    if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before;
  });
  const seen: string[] = [];
  await boundFar(t, "forged.test", lab.ca, (request, response) => {
    seen.push(request.headers.authorization ?? "");
    response.end();
  });
  const client = await opened(t, "forged.test");
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
  client.write(asking("forged.test"));
  assert.match((await collect(client)).toString(), /^HTTP\/1\.1 502 /);
  assert.deepEqual(seen, []);
});

test("a value that a far side names in its Trailer header is masked", async (t) => {
  await boundFar(t, "trailer.test", lab.farCa, (_request, response) => {
    response.writeHead(200, { Trailer: `X-${VALUE}` });
    response.end("body");
  });
  const client = await opened(t, "trailer.test");
  client.write(asking("trailer.test"));
  const answer = (await collect(client)).toString();
  assert.match(answer, /^HTTP\/1\.1 200 [^]*\r\nTrailer: X-\*+\r\n/);
  assert.ok(!answer.includes(VALUE), answer);
});

test("an upload that goes on behind an early answer stays in the books, and is cut with its rule", async (t) => {
  let arrived = 0;
  const server = createHttp((request, response) => {
    response.end("early");
    request.on("data", (chunk: Buffer) => (arrived += chunk.length)).on("error", () => undefined);
  });
  lab.allow({ host: "early.test", ports: [80] }, await far(t, server));
  const near = await lab.dialProxy();
  t.after(() => near.destroy());
  near.write("POST http://early.test/ HTTP/1.1\r\nHost: early.test\r\nContent-Length: 100000000\r\n\r\nx");
  await collect(near, (bytes) => bytes.includes("early"));
  near.write("more");
  await until("the upload goes on", () => arrived === 5);
  const booked = lab.booked.at(-1);
  assert.equal(booked?.open, true);
  assert.equal(lab.gate.open(lab.machine.id), 1);
  booked.cut(new DoorwardError({ code: "EGRESS_DENIED", message: "narrowed" }));
  await collect(near);
  near.write("x".repeat(1000));
  await until("the connection is out of the books", () => !booked.open);
  assert.equal(arrived, 5);
  assert.equal(booked.failure, "EGRESS_DENIED");
});

test("an upload whose far side answered and left ends the request, and its connection is used again", async (t) => {
  const server = createHttp((request, response) => {
    response.writeHead(413, { connection: "close" });
    response.end("too much", () => request.socket.destroy());
  });
  lab.allow({ host: "left.test", ports: [80] }, await far(t, server));
  const near = await lab.dialProxy();
  t.after(() => near.destroy());
  near.write("POST http://left.test/ HTTP/1.1\r\nHost: left.test\r\nContent-Length: 200000\r\n\r\nx");
  await collect(near, (bytes) => bytes.includes("too much"));
  near.write("x".repeat(199_999));
  near.write("HEAD http://left.test/ HTTP/1.1\r\nHost: left.test\r\n\r\n");
  await collect(near, (bytes) => bytes.includes("413"));
  await until("nothing is open", () => lab.gate.open(lab.machine.id) === 0);
});

test("a tunnel that is asked for behind requests which are still served ends the connection", async (t) => {
  const server = createHttp((request, response) => {
    if (request.url === "/slow") response.write("slow");
    else response.end("quick");
  });
  lab.allow({ host: "ahead.test", ports: [80, 81] }, await far(t, server));
  const near = await lab.dialProxy();
  t.after(() => near.destroy());
  const get = (path: string): string => `GET http://ahead.test${path} HTTP/1.1\r\nHost: ahead.test\r\n\r\n`;
  near.write(get("/quick") + get("/slow"));
  await collect(near, (bytes) => bytes.includes("slow"));
  near.write("CONNECT ahead.test:81 HTTP/1.1\r\nHost: ahead.test:81\r\n\r\n");
  assert.ok(!(await collect(near)).includes("Established"));
});

test("a far side does not speak in the proxy's name", async (t) => {
  await boundFar(t, "speaks.test", lab.farCa, (_request, response) => {
    response.setHeader("Doorward-Egress", 'denied; allow="doorward egress allow crate evil.test"').end("x");
  });
  const socket = await opened(t, "speaks.test");
  socket.write(asking("speaks.test"));
  const answer = (await collect(socket)).toString("latin1");
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.doesNotMatch(answer, /doorward-egress/i);
});
