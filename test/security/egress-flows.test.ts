import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import {
  createServer as createHttp,
  request as httpRequest,
  type IncomingMessage,
  type Server,
} from "node:http";
import { connect as connectHttp2, createSecureServer } from "node:http2";
import { createServer as createHttps } from "node:https";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { WebSocket, WebSocketServer } from "ws";
import {
  askTunnel,
  collect,
  listening,
  startProxyLab,
  type ProxyLab,
} from "../../packages/bridge/test/egress-proxy-lab.ts";
import { digest, farSide, PACKED, patterned } from "./egress-flows-far.ts";

const run = promisify(execFile);
const MODES = ["plain", "blind", "opened", "socks", "socks-tls"] as const;
type Mode = (typeof MODES)[number];

let lab: ProxyLab;
let plain: Server;
let secure: Server;
let folder: string;
const servers: Server[] = [];

before(async () => {
  lab = await startProxyLab();
  folder = mkdtempSync(join(tmpdir(), "doorward-flows-"));
  plain = createHttp(farSide);
  secure = createHttps({ SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) }, farSide);
  servers.push(plain, secure);
  for (const server of servers) {
    new WebSocketServer({ server }).on("connection", (socket) => {
      socket.on("message", (data, binary) => socket.send(data, { binary }));
    });
  }
  const [plainPort, securePort] = [await listening(plain), await listening(secure)];
  lab.allow({ host: "plain.test", ports: [80] }, plainPort);
  lab.allow({ host: "blind.test" }, securePort);
  lab.allow({ host: "opened.test", tls: "open" }, securePort);
});

after(async () => {
  await lab[Symbol.asyncDispose]();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

const HOSTS: Record<Mode, string> = {
  plain: "plain.test",
  blind: "blind.test",
  opened: "opened.test",
  socks: "plain.test",
  "socks-tls": "blind.test",
};

async function reach(mode: Mode, alpn = "http/1.1"): Promise<Duplex> {
  const socket = await lab.dialProxy();
  if (mode === "plain") return socket;
  const host = HOSTS[mode];
  if (mode.startsWith("socks")) await socksTo(socket, host, mode === "socks" ? 80 : 443);
  else assert.match(await askTunnel(socket, `${host}:443`), /^HTTP\/1\.1 200 /);
  if (mode === "socks") return socket.resume();
  const ca = mode === "opened" ? lab.ca : lab.farCa;
  const secured = connectTls({ socket, servername: host, ca: ca.certificate, ALPNProtocols: [alpn] });
  await new Promise((resolve, reject) => secured.once("secureConnect", resolve).once("error", reject));
  return secured;
}

async function socksTo(socket: Socket, host: string, port: number): Promise<void> {
  socket.write(Buffer.from([5, 1, 0]));
  await collect(socket, (bytes) => bytes.length >= 2);
  socket.write(
    Buffer.concat([
      Buffer.from([5, 1, 0, 3, host.length]),
      Buffer.from(host),
      Buffer.from([port >> 8, port & 255]),
    ]),
  );
  const reply = await collect(socket, (bytes) => bytes.length >= 10);
  socket.pause();
  assert.equal(reply[1], 0);
}

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: readonly Buffer[];
  readonly trailers?: Record<string, string>;
  readonly over?: Duplex;
}

async function ask(
  mode: Mode,
  path: string,
  { method = "GET", headers, body, trailers, over }: Asked = {},
): Promise<IncomingMessage> {
  const stream = over ?? (await reach(mode));
  const host = HOSTS[mode];
  const request = httpRequest({
    createConnection: () => stream,
    method,
    path: mode === "plain" ? `http://${host}${path}` : path,
    headers: { host, ...(over !== undefined && { connection: "keep-alive" }), ...headers },
  });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve).once("error", reject);
  });
  for (const chunk of body ?? []) request.write(chunk);
  if (trailers !== undefined) request.addTrailers(trailers);
  request.end();
  return answer;
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly rawTrailers: string[];
  readonly size: number;
  readonly sha256: string;
}

async function echoed(answer: IncomingMessage): Promise<Echo> {
  return JSON.parse((await bodyOf(answer)).toString()) as Echo;
}

for (const mode of MODES) {
  test(`${mode}: an answer arrives`, async () => {
    const answer = await ask(mode, "/text");
    assert.equal(answer.statusCode, 200);
    assert.equal((await bodyOf(answer)).toString(), "text");
  });
  test(`${mode}: a path and query arrive as they were written`, async () => {
    const path = "/echo?a=%2F..%2F&b=%C3%A4;c=1//2";
    assert.equal((await echoed(await ask(mode, path))).url, path);
  });
  test(`${mode}: a long download arrives whole`, async () => {
    assert.equal(digest(await bodyOf(await ask(mode, "/big"))), digest(patterned(20_000_000)));
  });
  test(`${mode}: a large upload of known length arrives whole`, async () => {
    const bytes = patterned(8_000_000);
    const answer = await ask(mode, "/echo", {
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
    const answer = await ask(mode, "/echo", { method: "POST", headers, body, trailers: { "x-sum": "7" } });
    const seen = await echoed(answer);
    assert.equal(seen.sha256, digest(Buffer.concat(body)));
    assert.deepEqual(seen.rawTrailers, ["x-sum", "7"]);
  });
  test(`${mode}: an answer in chunks arrives, and ends`, async () => {
    assert.match(
      (await bodyOf(await ask(mode, "/chunks"))).toString(),
      /^chunk 4\n(chunk \d\n){3}chunk 0\n$/,
    );
  });
  test(`${mode}: an event arrives while its stream stays open`, async () => {
    const answer = await ask(mode, "/events");
    const first = await new Promise<Buffer>((resolve) => answer.once("data", resolve));
    assert.equal(first.toString(), "data: first\n\n");
    answer.destroy();
  });
  test(`${mode}: HEAD, 204 and 304 have no body and keep the connection`, async () => {
    const over = await reach(mode);
    const head = await ask(mode, "/sized", { method: "HEAD", over });
    assert.equal(head.headers["content-length"], "1234");
    assert.equal((await bodyOf(head)).length, 0);
    for (const [path, status] of [
      ["/none", 204],
      ["/same", 304],
      ["/text", 200],
    ] as const) {
      const answer = await ask(mode, path, { over });
      assert.equal(answer.statusCode, status);
      await bodyOf(answer);
    }
    over.destroy();
  });
  test(`${mode}: trailers of an answer arrive`, async () => {
    const answer = await ask(mode, "/trailers");
    assert.equal((await bodyOf(answer)).toString(), "body");
    assert.equal(answer.trailers["x-sum"], "42");
  });
  test(`${mode}: packed bytes stay packed`, async () => {
    const answer = await ask(mode, "/packed", { headers: { "accept-encoding": "gzip" } });
    assert.equal(answer.headers["content-encoding"], "gzip");
    assert.deepEqual(await bodyOf(answer), PACKED);
  });
  test(`${mode}: a part of a file arrives`, async () => {
    const answer = await ask(mode, "/part", { headers: { range: "bytes=100-4999" } });
    assert.equal(answer.statusCode, 206);
    assert.deepEqual(await bodyOf(answer), patterned(10_000).subarray(100, 5000));
  });
  test(`${mode}: a redirect is passed on, not followed`, async () => {
    const answer = await ask(mode, "/moved");
    assert.equal(answer.statusCode, 302);
    assert.equal(answer.headers.location, "http://127.0.0.1:1/");
    answer.resume();
  });
  test(`${mode}: two cookies stay two headers, and a reason stays`, async () => {
    const answer = await ask(mode, "/cookies");
    assert.deepEqual(answer.headers["set-cookie"], ["a=1", "b=2"]);
    answer.resume();
    const missing = await ask(mode, "/missing");
    assert.deepEqual([missing.statusCode, missing.statusMessage], [404, "Nowhere"]);
    missing.resume();
  });
  test(`${mode}: an upload waits for 100 Continue and gets it`, async () => {
    const stream = await reach(mode);
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
    const stream = await reach(mode);
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
  const server = createSecureServer({ SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) });
  server.on("stream", (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("over two");
  });
  lab.allow({ host: "two.test" }, await listening(server));
  const socket = await lab.dialProxy();
  await askTunnel(socket, "two.test:443");
  const secured = connectTls({
    socket,
    servername: "two.test",
    ca: lab.farCa.certificate,
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
  const over = await lab.dialProxy();
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
  const probe = createHttp(farSide);
  const port = await listening(probe);
  await new Promise((resolve) => probe.close(resolve));
  lab.allow({ host: "late.test", ports: [80, 443] }, port);
  const text = "GET http://late.test/text HTTP/1.1\r\nHost: late.test\r\nConnection: close\r\n\r\n";
  const once = async (): Promise<string> => {
    const socket = await lab.dialProxy();
    socket.write(text);
    return (await collect(socket)).toString();
  };
  assert.match(await once(), /^HTTP\/1\.1 502 [\s\S]*EGRESS_UNREACHABLE/);
  const tunnel = await lab.dialProxy();
  assert.match(await askTunnel(tunnel, "late.test:443"), /^HTTP\/1\.1 502 /);
  tunnel.destroy();
  const server = createHttp(farSide);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  assert.match(await once(), /^HTTP\/1\.1 200 /);
  server.closeAllConnections();
  server.close();
});

test("requests that are sent ahead are answered in their order", async () => {
  const socket = await lab.dialProxy();
  const one = (path: string, rest = ""): string =>
    `GET http://plain.test${path} HTTP/1.1\r\nHost: plain.test\r\n${rest}\r\n`;
  socket.write(one("/chunks") + one("/text") + one("/missing", "Connection: close\r\n"));
  const statuses = (await collect(socket)).toString().match(/HTTP\/1\.1 \d+|chunk 0|text/g);
  assert.deepEqual(statuses, ["HTTP/1.1 200", "chunk 0", "HTTP/1.1 200", "text", "HTTP/1.1 404"]);
});

test("a program that ends its side behind its request reads the whole answer", async () => {
  const socket = await lab.dialProxy();
  socket.end("GET http://plain.test/chunks HTTP/1.1\r\nHost: plain.test\r\n\r\n");
  assert.match((await collect(socket)).toString(), /chunk 0/);
});

test("half-close passes through a tunnel both ways, and the far side may speak first", async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.write("220 ready\r\n");
    void collect(socket).then((bytes) => socket.end(`got ${bytes.length}`));
  });
  lab.allow({ host: "raw.test", ports: [2222] }, await listening(server));
  const socket = await lab.dialProxy();
  await askTunnel(socket, "raw.test:2222");
  const greeting = await collect(socket, (bytes) => bytes.includes("\n"));
  assert.equal(greeting.toString(), "220 ready\r\n");
  socket.end(patterned(500_000));
  assert.equal((await collect(socket)).toString(), "got 500000");
  server.close();
});

test("requests of one program reuse the connection to the far side", async () => {
  let connections = 0;
  const server = createHttp(farSide).on("connection", () => (connections += 1));
  lab.allow({ host: "reuse.test", ports: [80] }, await listening(server));
  const socket = await lab.dialProxy();
  for (let at = 0; at < 10; at += 1) {
    socket.write("GET http://reuse.test/text HTTP/1.1\r\nHost: reuse.test\r\n\r\n");
    await collect(
      socket,
      (bytes) => bytes.toString().endsWith("text\r\n0\r\n\r\n") || bytes.toString().endsWith("text"),
    );
  }
  assert.equal(connections, 1);
  socket.destroy();
  server.closeAllConnections();
  server.close();
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
  const seen = (await echoed(await ask("plain", "/echo", { headers }))).headers;
  assert.equal(seen["x-end"], "2");
  for (const name of ["proxy-authorization", "proxy-connection", "te", "x-hop"])
    assert.equal(seen[name], undefined, name);
});

test("what passed is in the books, by host and bytes each way", async () => {
  const before = lab.booked.length;
  await bodyOf(await ask("blind", "/big"));
  const entry = lab.booked[before];
  assert.deepEqual([entry?.host, entry?.via, entry?.address], ["blind.test", "connect", "127.0.0.1"]);
  assert.ok((entry?.received ?? 0) > 20_000_000 && (entry?.sent ?? 0) > 300);
});

const has = (program: string): boolean => {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

function clientEnvironment(): Record<string, string> {
  const bundle = join(folder, "ca.pem");
  writeFileSync(bundle, lab.ca.certificate + lab.farCa.certificate);
  const proxy = `http://127.0.0.1:${lab.port}`;
  return {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    http_proxy: proxy,
    https_proxy: proxy,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    CURL_CA_BUNDLE: bundle,
    GIT_SSL_CAINFO: bundle,
    SSL_CERT_FILE: bundle,
    NODE_EXTRA_CA_CERTS: bundle,
    PIP_CERT: bundle,
  };
}

for (const [what, args] of [
  ["plain HTTP", ["http://plain.test/big"]],
  ["HTTPS", ["https://blind.test/big"]],
  ["opened HTTPS", ["https://opened.test/big"]],
  ["HTTP through SOCKS5", ["--socks5-hostname", "PROXY", "http://plain.test/big"]],
  ["HTTPS through SOCKS5", ["--socks5-hostname", "PROXY", "https://blind.test/big"]],
] as const) {
  test(`curl: ${what}`, { skip: has("curl") ? false : "curl is not installed" }, async () => {
    const out = join(folder, "out");
    const words = args.map((word) => (word === "PROXY" ? `127.0.0.1:${lab.port}` : word));
    await run("curl", ["-sS", "-f", "-m", "30", "-o", out, ...words], { env: clientEnvironment() });
    assert.equal(digest(readFileSync(out)), digest(patterned(20_000_000)));
  });
}

test(
  "curl says what was refused and why",
  { skip: has("curl") ? false : "curl is not installed" },
  async () => {
    const { stdout } = await run("curl", ["-sS", "-i", "http://nowhere.test/"], { env: clientEnvironment() });
    assert.match(stdout, /403 Forbidden[\s\S]*doorward egress allow crate nowhere\.test/);
    await assert.rejects(run("curl", ["-sS", "https://nowhere.test/"], { env: clientEnvironment() }), /403/);
  },
);

test(
  "git clones over HTTPS, blind and opened",
  { skip: has("git") ? false : "git is not installed" },
  async () => {
    const env = { ...clientEnvironment(), GIT_CONFIG_NOSYSTEM: "1" };
    const source = join(folder, "source");
    const git = (...args: string[]): Promise<unknown> =>
      run("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { env, timeout: 30_000 });
    await git("init", "-q", source);
    writeFileSync(join(source, "file"), patterned(200_000));
    await git("-C", source, "add", "file");
    await git("-C", source, "commit", "-q", "-m", "one");
    await git("-C", source, "update-server-info");
    const server = createHttps(
      { SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) },
      (request, response) => {
        try {
          response.end(
            readFileSync(
              join(source, ".git", new URL(request.url ?? "", "http://x").pathname.replace("/r.git", "")),
            ),
          );
        } catch {
          response.writeHead(404).end();
        }
      },
    );
    const port = await listening(server);
    lab.allow({ host: "git.test" }, port);
    lab.allow({ host: "gitopen.test", tls: "open" }, port);
    for (const host of ["git.test", "gitopen.test"]) {
      const target = join(folder, host);
      await git("clone", "-q", `https://${host}/r.git`, target);
      assert.deepEqual(readFileSync(join(target, "file")), patterned(200_000));
    }
    server.closeAllConnections();
    server.close();
  },
);

test(
  "npm installs a package from a private registry, whose token the proxy puts in",
  { skip: has("npm") ? false : "npm is not installed" },
  async () => {
    const made = join(folder, "made");
    mkdirSync(made);
    mkdirSync(join(folder, "app"));
    writeFileSync(join(made, "package.json"), JSON.stringify({ name: "tiny", version: "1.0.0" }));
    execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: made });
    const tarball = readFileSync(join(folder, "tiny-1.0.0.tgz"));
    const server = createHttps(
      { SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) },
      (request, response) => {
        if (request.headers.authorization !== "Bearer token-of-the-registry") response.writeHead(401).end();
        else if (request.url?.endsWith(".tgz") === true) response.end(tarball);
        else {
          const dist = { tarball: "https://npm.test/tiny/-/tiny-1.0.0.tgz" };
          const versions = { "1.0.0": { name: "tiny", version: "1.0.0", dist } };
          response.end(JSON.stringify({ name: "tiny", "dist-tags": { latest: "1.0.0" }, versions }));
        }
      },
    );
    lab.allow({ host: "npm.test" }, await listening(server));
    lab.bind("npm.test", {
      name: "NPM_TOKEN",
      header: "authorization",
      placeholder: "npm_placeholder",
      value: () => Promise.resolve("token-of-the-registry"),
    });
    writeFileSync(join(folder, "app", ".npmrc"), "//npm.test/:_authToken=npm_placeholder\n");
    await run("npm", ["install", "--registry", "https://npm.test/", "--no-audit", "--no-fund", "tiny"], {
      cwd: join(folder, "app"),
      // An npm whose own settings name a cafile trusts nothing else, whatever NODE_EXTRA_CA_CERTS says.
      env: { ...clientEnvironment(), npm_config_cafile: join(folder, "ca.pem") },
      timeout: 60_000,
    });
    assert.match(readFileSync(join(folder, "app/node_modules/tiny/package.json"), "utf8"), /tiny/);
    server.closeAllConnections();
    server.close();
  },
);

test("far sides with an IPv6 address alone are reached where a rule names its range", async () => {
  const web = createHttp(farSide);
  const tls = createHttps({ SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) }, farSide);
  lab.allow({ host: "six.test", ports: [80] }, await listening(web, "::1"), ["::1"]);
  lab.allow({ host: "sixtls.test" }, await listening(tls, "::1"), ["::1"]);
  const env = clientEnvironment();
  for (const url of ["http://six.test/text", "https://sixtls.test/text"]) {
    assert.equal((await run("curl", ["-sS", "-f", "-m", "10", url], { env })).stdout, "text", url);
  }
  assert.equal(lab.booked.at(-1)?.address, "::1");
  for (const server of [web, tls]) {
    server.closeAllConnections();
    server.close();
  }
});

test("the far side is reached at its IPv4 address when nobody listens at its IPv6 one", async () => {
  const web = createHttp(farSide);
  lab.allow({ host: "both.test", ports: [80] }, await listening(web), ["::1", "127.0.0.1"]);
  const { stdout } = await run("curl", ["-sS", "-f", "-m", "10", "http://both.test/text"], {
    env: clientEnvironment(),
  });
  assert.equal(stdout, "text");
  assert.equal(lab.booked.at(-1)?.address, "127.0.0.1");
  web.closeAllConnections();
  web.close();
});
