/**
 * Runs in a machine and does whatever it can think of to learn the values behind its placeholders. Prints one JSON line
 * for each attempt: its name, and everything that it saw. Arguments: { host, api, other, plain, address, foreign }.
 */
import { Buffer } from "node:buffer";
import { readFileSync, readdirSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import { clearTimeout, setTimeout } from "node:timers";
import { connect as secure } from "node:tls";
import { inflateSync, gunzipSync, brotliDecompressSync } from "node:zlib";

const { host, api, other, plain, address, foreign } = JSON.parse(process.argv.at(-1));
const KEY = process.env.API_KEY;
const TOKEN = process.env.GIT_TOKEN;
const PROXY = 3128;

/** Whether this is an attempt whose answer has to come, however long a host stands still. */
let patient = false;

/** Everything that comes back until the connection is silent. */
function collect(socket, bytes, ms = 1500) {
  const [first, next] = patient ? [300_000, 300_000] : [ms, 400];
  return new Promise((resolve) => {
    const chunks = [];
    let timer = setTimeout(done, first);
    function done() {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks));
    }
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      clearTimeout(timer);
      timer = setTimeout(done, next);
    });
    socket.on("error", (error) => {
      chunks.push(Buffer.from(`\n[${error.message}]`));
      done();
    });
    socket.on("close", done);
    if (bytes !== undefined) socket.write(bytes);
  });
}

const dial = (port, at = "127.0.0.1") =>
  new Promise((resolve, reject) => {
    const socket = connect(port, at, () => resolve(socket)).once("error", reject);
  });

async function tunnel(to = `${host}:${api}`) {
  const socket = await dial(PROXY);
  socket.write(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`);
  const head = await new Promise((resolve) =>
    socket.once("data", resolve).once("close", () => resolve(Buffer.alloc(0))),
  );
  if (!head.toString("latin1").startsWith("HTTP/1.1 200")) {
    const rest = await collect(socket, undefined, 300);
    throw new Error(Buffer.concat([head, rest]).toString("latin1"));
  }
  return socket;
}

async function overTls(bytes, { to, servername = host, ALPNProtocols, raw = false } = {}) {
  const socket = secure({ socket: await tunnel(to), servername, ALPNProtocols, rejectUnauthorized: false });
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  const answer = await collect(socket, Buffer.from(bytes, "latin1"));
  return raw ? answer : answer.toString("latin1");
}

const ask = (
  path,
  headers = [`x-api-key: ${KEY}`],
  { method = "GET", body = "", hostname = `${host}:${api}` } = {},
) =>
  [
    `${method} ${path} HTTP/1.1`,
    `Host: ${hostname}`,
    "Connection: close",
    ...headers,
    ...(body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
    "",
    body,
  ].join("\r\n");

const unpack = (bytes) =>
  [gunzipSync, inflateSync, brotliDecompressSync]
    .map((how) => {
      const at = bytes.indexOf("\r\n\r\n");
      try {
        return how(bytes.subarray(at + 4)).toString("latin1");
      } catch {
        return "";
      }
    })
    .join("");

const environments = () =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => ["environ", "cmdline", "status"].map((file) => `/proc/${pid}/${file}`))
    .map(read)
    .join("\n");

function read(path) {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    return String(error);
  }
}

function tree(folder, depth = 4) {
  let names;
  try {
    names = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    return String(error);
  }
  return names
    .map((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return depth > 0 ? tree(path, depth - 1) : path;
      return entry.isFile() ? `${path}\n${read(path).slice(0, 200_000)}` : path;
    })
    .join("\n");
}

const basic = (text) => `authorization: Basic ${Buffer.from(text).toString("base64")}`;
const bearer = `authorization: Bearer ${TOKEN}`;

const attempts = {
  "its own environment": () => JSON.stringify(process.env),
  "every process's environment": environments,
  "the runtime folders and the trusted authorities": () =>
    ["/run", "/opt/doorward", "/etc/doorward", "/tmp", "/home/agent", "/var/run"]
      .map((folder) => tree(folder))
      .join("\n"),
  "the guest's memory map and descriptors": () =>
    read("/proc/1/maps") + read("/proc/1/fdinfo") + tree("/proc/1/fd", 0),
  "an echo in a header": () => overTls(ask("/echo/header")),
  "an echo in trailers": () => overTls(ask("/echo/trailer", [`x-api-key: ${KEY}`, "TE: trailers"])),
  "an echo in the reason phrase": () => overTls(ask("/echo/reason")),
  "an echo in early hints": () => overTls(ask("/echo/early")),
  "an echo in an error page": () => overTls(ask("/echo/error")),
  "an echo in single bytes": () => overTls(ask("/echo/split")),
  "an echo in slow pieces": () => overTls(ask("/echo/slow")),
  "an echo in gzip": async () => unpack(await overTls(ask("/echo/gzip"), { raw: true })),
  "an echo in deflate": async () => unpack(await overTls(ask("/echo/deflate"), { raw: true })),
  "an echo in brotli": async () => unpack(await overTls(ask("/echo/br"), { raw: true })),
  "an echo in gzip that it asks for": async () => {
    const answer = await overTls(ask("/echo/asked", [`x-api-key: ${KEY}`, "Accept-Encoding: gzip"]), {
      raw: true,
    });
    return answer.toString("latin1") + unpack(answer);
  },
  "an echo in slices": async () => {
    let all = "";
    for (let at = 0; at < 40; at += 4) {
      const answer = await overTls(ask("/echo/range", [`x-api-key: ${KEY}`, `Range: bytes=${at}-${at + 3}`]));
      all += answer.slice(answer.indexOf("\r\n\r\n") + 4);
    }
    return all;
  },
  "a slice that it did not ask for": () => overTls(ask("/echo/part")),
  "a redirect with the value in it": () => overTls(ask("/echo/redirect")),
  TRACE: () => overTls(ask("/echo/plain", [`x-api-key: ${KEY}`], { method: "TRACE" })),
  "HEAD of an echo": () => overTls(ask("/echo/header", [`x-api-key: ${KEY}`], { method: "HEAD" })),
  "a WebSocket that sends it in frames of one byte": () =>
    overTls(
      `GET /ws HTTP/1.1\r\nHost: ${host}:${api}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nx-api-key: ${KEY}\r\n\r\n`,
    ).then((text) => text + text.replaceAll("\x82\x01", "")),
  "an upgrade to h2c": () =>
    overTls(ask("/echo/plain", [`x-api-key: ${KEY}`, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"])),
  "HTTP/2": () => overTls("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", { ALPNProtocols: ["h2"] }),
  "the placeholder at another port": () =>
    overTls(ask("/x", [`x-api-key: ${KEY}`, bearer], { hostname: `${host}:${other}` }), {
      to: `${host}:${other}`,
    }),
  "the placeholder at another host": () =>
    overTls(ask("/x", [`x-api-key: ${KEY}`, bearer], { hostname: `localhost:${other}` }), {
      to: `localhost:${other}`,
      servername: "localhost",
    }),
  "the bound port under another name": () =>
    overTls(ask("/echo/plain", [`x-api-key: ${KEY}`], { hostname: `localhost:${api}` }), {
      to: `localhost:${api}`,
      servername: "localhost",
    }),
  "the bound port by its address": () => overTls(ask("/echo/plain"), { to: `${address}:${api}` }),
  "another Host header": () =>
    overTls(ask("/echo/plain", [`x-api-key: ${KEY}`], { hostname: `localhost:${other}` })),
  "two Host headers": () => overTls(ask("/echo/plain", [`x-api-key: ${KEY}`, "Host: localhost"])),
  "an absolute target elsewhere": () => overTls(ask(`https://localhost:${other}/x`)),
  "another server name": () => overTls(ask("/echo/plain"), { servername: "localhost" }),
  "without TLS, through the proxy": () =>
    dial(PROXY)
      .then((socket) =>
        collect(
          socket,
          ask(`http://${host}:${plain}/x`, [`x-api-key: ${KEY}`, bearer], { hostname: `${host}:${plain}` }),
        ),
      )
      .then(String),
  "the bound port without TLS": () =>
    dial(PROXY)
      .then((socket) => collect(socket, ask(`http://${host}:${api}/echo/plain`)))
      .then(String),
  "plain bytes in a tunnel to the bound port": async () =>
    String(await collect(await tunnel(), ask("/echo/plain"))),
  "SOCKS5 to the bound port": async () => {
    const socket = await dial(PROXY);
    await new Promise((resolve) => socket.once("data", resolve).write(Buffer.from([5, 1, 0])));
    const name = Buffer.from(host);
    const request = Buffer.concat([
      Buffer.from([5, 1, 0, 3, name.length]),
      name,
      Buffer.from([api >> 8, api & 255]),
    ]);
    await new Promise((resolve) => socket.once("data", resolve).write(request));
    const inner = secure({ socket, servername: host, rejectUnauthorized: false });
    await new Promise((resolve, reject) => inner.once("secureConnect", resolve).once("error", reject));
    return String(await collect(inner, ask("/echo/plain")));
  },
  "the placeholder in the address": () =>
    overTls(
      ask(
        `/echo/plain?k=${KEY}&e=${encodeURIComponent(KEY)}&b=${Buffer.from(KEY).toString("base64url")}`,
        [],
      ),
    ),
  "the placeholder in the body": () =>
    overTls(ask("/echo/plain", [], { method: "POST", body: `{"key":"${KEY}","token":"${TOKEN}"}` })),
  "the placeholder in other headers": () =>
    overTls(
      ask("/echo/plain", [
        `x-other: ${KEY}`,
        `cookie: k=${KEY}`,
        `referer: https://x/${KEY}`,
        `authorization: Bearer ${KEY}`,
        `x-api-key: ${TOKEN}`,
      ]),
    ),
  "the bound header twice": () => overTls(ask("/echo/plain", [`x-api-key: ${KEY}`, `X-Api-Key: ${KEY}`])),
  "the bound header as a list": () =>
    overTls(ask("/echo/plain", [`x-api-key: ${KEY}, ${KEY}`, `authorization: Bearer ${TOKEN}, x`])),
  "the bound header folded": () => overTls(ask("/echo/plain", [`x-api-key:\r\n ${KEY}`])),
  "the bound header named in Connection": () =>
    overTls(ask("/echo/plain", [`x-api-key: ${KEY}`, "Connection: close, x-api-key"])),
  "a line end in the bound header": () =>
    overTls(ask("/echo/plain", [`x-api-key: ${KEY}\rX: y`, `authorization: Bearer ${TOKEN}\nx-leak: 1`])),
  "Basic at every alignment, echoed": async () =>
    (
      await Promise.all(
        ["", "a", "ab", "abc"].map((user) => overTls(ask("/echo/plain", [basic(`${user}:${TOKEN}`)]))),
      )
    ).join("\n"),
  "Basic as a user, echoed": () => overTls(ask("/echo/plain", [basic(`${TOKEN}:x`)])),
  "a request inside a request, by length and chunks": () =>
    overTls(
      `POST /echo/plain HTTP/1.1\r\nHost: ${host}:${api}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${ask("/echo/plain")}`,
    ),
  "a body that swallows the next request": () =>
    overTls(
      `POST /echo/plain HTTP/1.1\r\nHost: ${host}:${api}\r\nContent-Length: 400\r\n\r\n${ask("/echo/plain")}${"x".repeat(400)}`,
    ),
  "chunked in a spelling that only one side reads": () =>
    overTls(
      `POST /echo/plain HTTP/1.1\r\nHost: ${host}:${api}\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${ask("/echo/plain")}`,
    ),
  "requests one after the other on one connection": () =>
    overTls(ask("/echo/header").replace("Connection: close\r\n", "") + ask("/echo/plain", [bearer])),
  "a placeholder of another machine": () => overTls(ask("/echo/plain", [`x-api-key: ${foreign}`])),
  "a broken request to the bound host": () =>
    overTls(`GET /echo/plain HTTP/1.1\r\nHost: ${host}:${api}\r\nx-api-key: ${KEY}\r\nbroken\r\n\r\n`),
  "a huge header to the bound host": () =>
    overTls(ask("/echo/plain", [`x-api-key: ${KEY}`, `x-big: ${"a".repeat(200_000)}`])),
  "the bridge's socket": async () => {
    const socket = connect("/run/doorward/guest.sock");
    return String(await collect(socket, "GET /v1/secrets HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  },
  "the bridge's port through the proxy": () =>
    dial(PROXY)
      .then((socket) =>
        collect(socket, "GET http://127.0.0.1:7611/v1/secrets HTTP/1.1\r\nHost: 127.0.0.1:7611\r\n\r\n"),
      )
      .then(String),
};

const tooLong = () =>
  new Promise((resolve) => setTimeout(() => resolve("[nothing came]"), patient ? 300_000 : 6000));
/** What shows that echoes come at all; each of them ends by itself. */
const SHOWN = new Set([
  "an echo as plain",
  "an echo of Basic as base64",
  "an echo in single bytes",
  "an echo in trailers",
  "the placeholder at another port",
  "a placeholder of another machine",
]);
const FORMS = [
  "plain",
  "upper",
  "reversed",
  "json",
  "escapes",
  "percent",
  "percents",
  "html",
  "entities",
  "hex",
  "hexdump",
  "numbers",
  "base64",
  "base64url",
  "utf16",
];
for (const form of FORMS) {
  attempts[`an echo as ${form}`] = () => overTls(ask(`/echo/${form}`));
  attempts[`an echo of Bearer as ${form}`] = () => overTls(ask(`/echo/${form}`, [bearer]));
  attempts[`an echo of Basic as ${form}`] = () => overTls(ask(`/echo/${form}`, [basic(`u:${TOKEN}`)]));
}

for (const [name, run] of Object.entries(attempts)) {
  let saw;
  patient = SHOWN.has(name);
  try {
    saw = await Promise.race([run(), tooLong()]);
  } catch (error) {
    saw = `[${error instanceof Error ? error.message : String(error)}]`;
  }
  await new Promise((resolve) =>
    process.stdout.write(`${JSON.stringify({ name, saw: String(saw) })}\n`, resolve),
  );
}
process.exit(0);
