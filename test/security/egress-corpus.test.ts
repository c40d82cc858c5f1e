import assert from "node:assert/strict";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { Duplex } from "node:stream";
import {
  askTunnel,
  collect,
  listening,
  startProxyLab,
  type ProxyLab,
} from "../../packages/bridge/test/egress-proxy-lab.ts";
import { freePort } from "../support/free-port.ts";
import { SMUGGLED, type Attempt } from "./egress-corpus-attempt.ts";
import { attempts } from "./egress-corpus-attempts.ts";

let lab: ProxyLab;
/** Proxies whose time is soon over, for attempts that wait for that: with a head, and with a hello in a tunnel. */
let soonAtHead: ProxyLab;
let soonAtHello: ProxyLab;
let canary: { readonly server: Server; readonly port: number; bytes: number; connections: number };
let far: { readonly server: HttpServer; readonly port: number; seen: string };
const corpus = attempts(1);

before(async () => {
  lab = await startProxyLab();
  soonAtHead = await startProxyLab({ limits: { headMs: 400 } });
  soonAtHello = await startProxyLab({ limits: { helloMs: 400 } });
  canary = await startCanary();
  far = await startFar();
  for (const each of [lab, soonAtHead, soonAtHello])
    each.allow({ host: "good.test", ports: [80, 443] }, far.port);
  lab.allow({ host: "opened.test", tls: "open", methods: ["GET", "POST"], paths: ["/api"] }, far.port);
  lab.allow({ host: "*.wild.test" }, far.port);
  for (const [host, ...addresses] of [
    ["loop.test", "127.0.0.1"],
    ["mixed.test", "93.184.215.14", "127.0.0.1"],
    ["mapped.test", "::ffff:7f00:1"],
    ["loop6.test", "::1"],
    ["unspecified6.test", "::"],
    ["unique6.test", "fd00::1"],
    ["link6.test", "fe80::1"],
    ["metadata6.test", "fd00:ec2::254"],
    ["teredo.test", "2001::1"],
    ["either.test", "93.184.215.14", "::1"],
    ["metadata.test", "169.254.169.254"],
    ["nat64.test", "64:ff9b::7f00:1"],
    ["sixtofour.test", "2002:7f00:1::1"],
    ["zero.test", "0.0.0.0"],
  ] as const) {
    lab.allowPublic(host, [443, canary.port], addresses);
  }
  lab.allowPublic("empty.test", [443], []);
  lab.allowPublic("rebind.test", [443], ["127.0.0.1"], ["93.184.215.14"]);
  lab.allow({ host: "ranged.test", addresses: ["10.0.0.0/8"] }, canary.port, ["127.0.0.1"]);
  lab.allow({ host: "ranged6.test", addresses: ["fd00::/8"] }, canary.port, ["::1"]);
  lab.allow({ host: "mapped6.test", addresses: ["127.0.0.0/8"] }, canary.port, ["::ffff:7f00:1"]);
  lab.name("internal.test", ["127.0.0.1"]);
});

after(async () => {
  for (const each of [lab, soonAtHead, soonAtHello]) await each[Symbol.asyncDispose]();
  canary.server.close();
  far.server.closeAllConnections();
  far.server.close();
});

async function startCanary(): Promise<typeof canary> {
  const state = { bytes: 0, connections: 0 };
  const server = createServer((socket) => {
    state.connections += 1;
    socket.on("data", (chunk) => (state.bytes += chunk.length)).on("error", () => undefined);
  });
  return Object.assign(state, { server, port: await listening(server, "::") });
}

/** An HTTP server that keeps every byte that reached it. */
async function startFar(): Promise<typeof far> {
  const state = { seen: "" };
  const server = createHttpServer((request, response) => {
    request.resume().once("end", () => response.end("fine"));
  });
  server.on("connection", (socket: Socket) => {
    socket.on("data", (chunk) => (state.seen += chunk.toString("latin1"))).on("error", () => undefined);
  });
  return Object.assign(state, { server, port: await listening(server) });
}

async function attack(attempt: Attempt): Promise<Buffer> {
  const socket = await proxyFor(attempt).dialProxy();
  const stream = await tunnelFor(attempt, socket);
  stream.on("error", () => undefined);
  const heard = collect(stream);
  for (const part of attempt.send) {
    if (stream.writable) stream.write(part);
    if (attempt.send.length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (attempt.held !== true) stream.end();
  const answer = await heard;
  socket.destroy();
  return answer;
}

function proxyFor({ held, inside }: Attempt): ProxyLab {
  if (held !== true) return lab;
  return inside === undefined ? soonAtHead : soonAtHello;
}

async function tunnelFor({ inside }: Attempt, socket: Socket): Promise<Duplex> {
  if (inside === undefined) return socket;
  const authority = inside === "opened" ? "opened.test:443" : `good.test:${inside === "raw" ? 80 : 443}`;
  assert.match(await askTunnel(socket, authority), /^HTTP\/1\.1 200 /);
  if (inside !== "opened") return socket;
  const secured = connectTls({ socket, servername: "opened.test", ca: lab.ca.certificate });
  await new Promise((resolve, reject) => secured.once("secureConnect", resolve).once("error", reject));
  return secured;
}

/** No answer, an error's answer, a refusal in SOCKS5, or a TLS alert; behind an accepted CONNECT nothing but the last. */
function refused(answer: Buffer, { inside }: Attempt): boolean {
  if (answer.length === 0) return true;
  const text = answer.toString("latin1");
  if (text.startsWith("HTTP/1.1 200 Connection Established\r\n\r\n")) return text.length === 39;
  if (/^HTTP\/1\.1 [45]\d\d /.test(text)) return !text.includes(" 200 ");
  if (answer[0] === 5)
    return answer[1] === 0xff || (answer[1] === 0 && (answer.length === 2 || answer[3] !== 0));
  return inside !== undefined && answer[0] === 0x15;
}

for (const [at, { name }] of corpus.entries()) {
  test(`refused: ${name}`, async () => {
    const attempt = attempts(canary.port)[at];
    assert.ok(attempt !== undefined && attempt.name.startsWith(name.slice(0, 8)));
    const answer = await attack(attempt);
    assert.ok(refused(answer, attempt), answer.toString("latin1").slice(0, 300));
    assert.equal(canary.bytes, 0, "the canary was reached");
    assert.equal(canary.connections, 0, "the canary was dialled");
    assert.ok(!far.seen.includes(SMUGGLED), "the far side saw what was smuggled");
  });
}

test("what the proxy refuses without a host that could be read is in the books, one row for each code", async () => {
  await lab.flush();
  const rows = lab.records.flatMap((record) => (record.type === "egress" ? [record] : []));
  const hostless = rows.filter(({ host, decision }) => host === null && decision === "refused");
  const codes = new Set(hostless.map(({ code }) => code));
  for (const code of ["PROTOCOL_ERROR", "EGRESS_MISMATCH", "INPUT_TOO_LARGE"])
    assert.ok(codes.has(code), code);
  assert.ok(rows.some(({ host, code }) => host === "opened.test" && code !== null));
});

test("the address that was judged is the one that is dialled, whatever its name server says a moment later", async () => {
  const inside = createServer((socket) => socket.on("error", () => undefined).end("inside the range"));
  const outside = createServer((socket) => socket.on("error", () => undefined).end("outside"));
  let reached = 0;
  outside.on("connection", () => (reached += 1));
  const port = await freePort();
  await new Promise<void>((resolve) => inside.listen(port, "127.0.0.9", resolve));
  await new Promise<void>((resolve) => outside.listen(port, "127.0.0.1", resolve));
  lab.allow({ host: "turning.test", ports: [7], addresses: ["127.0.0.9/32"] }, port);
  lab.name("turning.test", ["127.0.0.9"], ["127.0.0.1"]);
  const asked = (): number => lab.asked.filter((each) => each === "turning.test A").length;
  const first = await lab.dialProxy();
  assert.match(await askTunnel(first, "turning.test:7"), /^HTTP\/1\.1 200 /);
  assert.equal((await collect(first)).toString(), "inside the range");
  assert.equal(asked(), 1);
  const second = await lab.dialProxy();
  assert.match(await askTunnel(second, "turning.test:7"), /^HTTP\/1\.1 403 [\s\S]*EGRESS_ADDRESS_DENIED/);
  assert.equal(asked(), 2);
  for (const socket of [first, second]) socket.destroy();
  inside.close();
  outside.close();
  assert.equal(reached, 0);
});

test("the corpus has at least 120 attempts, each under its own name", () => {
  assert.ok(corpus.length >= 120, String(corpus.length));
  assert.equal(new Set(corpus.map(({ name }) => name)).size, corpus.length);
});
