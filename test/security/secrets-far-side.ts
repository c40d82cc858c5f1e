import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import {
  createServer as createPlain,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { ensureMachineCa, type MachineCa } from "../../packages/bridge/src/egress/tls/machine-ca.ts";

/** A request as a far side saw it. */
export interface SeenRequest {
  readonly server: "api" | "other" | "plain";
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
  readonly body: string;
}

/** The servers that machines talk to, on loopback: an API that echoes in every way, another TLS host, one without TLS. */
export interface FarSide extends AsyncDisposable {
  readonly caFile: string;
  readonly ports: { readonly api: number; readonly other: number; readonly plain: number };
  readonly seen: SeenRequest[];
}

/** What the API asks for; with a wrong key it answers 401. */
export interface FarKeys {
  readonly apiKey: string;
  readonly token: string;
}

/** Starts the servers; `folder` gets their authority, a git repository and a package. */
export async function startFarSide(folder: string, address: string, keys: FarKeys): Promise<FarSide> {
  const ca = ensureMachineCa(join(folder, "far-ca"));
  const seen: SeenRequest[] = [];
  const files = farFiles(folder);
  const api = secure(ca, (request, response) => {
    void readAll(request).then((body) => {
      seen.push(see("api", request, body));
      serveApi(request, response, body, keys, files);
    });
  });
  const other = secure(ca, (request, response) => void answerSeen("other", seen, request, response));
  const plain = createPlain((request, response) => void answerSeen("plain", seen, request, response));
  for (const server of [api, other]) server.on("upgrade", refuseUpgrade);
  api.removeAllListeners("upgrade").on("upgrade", (request, socket) => {
    seen.push(see("api", request, ""));
    const echo = Buffer.from(request.rawHeaders.join("\n"));
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    for (const byte of echo) socket.write(Buffer.from([0x82, 1, byte]));
    socket.end();
  });
  const servers: readonly Server[] = [api, other, plain];
  const ports = await Promise.all(servers.map((server) => listening(server, address)));
  return {
    caFile: ca.certificatePath,
    ports: { api: ports[0] ?? 0, other: ports[1] ?? 0, plain: ports[2] ?? 0 },
    seen,
    async [Symbol.asyncDispose]() {
      await Promise.all(
        servers.map((server) => {
          server.closeAllConnections();
          return new Promise((resolve) => server.close(resolve));
        }),
      );
    },
  };
}

function secure(ca: MachineCa, serve: (request: IncomingMessage, response: ServerResponse) => void) {
  const SNICallback = (
    name: string,
    done: (error: null, context: ReturnType<MachineCa["contextFor"]>) => void,
  ) => {
    done(null, ca.contextFor(name));
  };
  return createServer({ SNICallback, insecureHTTPParser: true }, serve);
}

function refuseUpgrade(_request: IncomingMessage, socket: { end(text: string): void }): void {
  socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
}

function listening(server: Server, address: string): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, address, () => {
      resolve((server.address() as AddressInfo).port);
    }),
  );
}

function see(server: SeenRequest["server"], request: IncomingMessage, body: string): SeenRequest {
  return {
    server,
    method: request.method ?? "",
    url: request.url ?? "",
    headers: [...request.rawHeaders],
    body,
  };
}

async function answerSeen(
  server: SeenRequest["server"],
  seen: SeenRequest[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  seen.push(see(server, request, await readAll(request)));
  response.end(request.rawHeaders.join("\n"));
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    // The program went away in the middle.
  }
  return Buffer.concat(chunks).toString("latin1");
}

const ECHOES: Readonly<Record<string, (text: string) => Buffer | string>> = {
  plain: (text) => text,
  upper: (text) => text.toUpperCase(),
  reversed: (text) => Array.from(text).reverse().join(""),
  json: (text) => JSON.stringify({ headers: text, again: JSON.stringify(text) }),
  escapes: (text) => spelled(text, (code) => `\\u${code.toString(16).padStart(4, "0")}`),
  percent: (text) => encodeURIComponent(text),
  percents: (text) => spelled(text, (code) => `%${code.toString(16).padStart(2, "0")}`),
  html: (text) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;").replaceAll("+", "&#43;"),
  entities: (text) => spelled(text, (code) => `&#${String(code)};`),
  hex: (text) => Buffer.from(text).toString("hex"),
  hexdump: (text) => spelled(text, (code) => `${code.toString(16).padStart(2, "0")} `),
  numbers: (text) => JSON.stringify(Buffer.from(text)),
  base64: (text) =>
    [text, `x${text}`, `xy${text}`].map((each) => Buffer.from(each).toString("base64")).join("\n"),
  base64url: (text) =>
    [text, `x${text}`, `xy${text}`].map((each) => Buffer.from(each).toString("base64url")).join("\n"),
  utf16: (text) => Buffer.from(text, "utf16le"),
};

function spelled(text: string, how: (code: number) => string): string {
  return Array.from(text, (char) => how(char.charCodeAt(0))).join("");
}

function serveApi(
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
  keys: FarKeys,
  files: FarFiles,
): void {
  const { headers, rawHeaders, url = "/" } = request;
  const credentials = headers.authorization ?? "";
  const key = String(headers["x-api-key"] ?? "");
  const what = /^\/echo\/(\w+)/.exec(url)?.[1];
  const all = `${rawHeaders.join("\n")}\n${url}\n${body}`;
  if (what !== undefined) echo(what, all, key || credentials, request, response);
  else if (url.startsWith("/v1/")) {
    const allowed = key === keys.apiKey || credentials === `Bearer ${keys.token}`;
    response.writeHead(allowed ? 200 : 401, { "content-type": "application/json" });
    response.end(JSON.stringify(allowed ? { ok: true, said: body } : { error: "wrong key" }));
  } else if (url.startsWith("/git/")) serveGit(url, credentials, keys.token, files, response);
  else servePackage(url, credentials, keys.token, files, request, response);
}

function echo(
  what: string,
  all: string,
  key: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const coded = ECHOES[what];
  if (coded !== undefined) {
    response.end(coded(all));
    return;
  }
  const { accept, range } = {
    accept: String(request.headers["accept-encoding"]),
    range: request.headers.range,
  };
  const special: Readonly<Record<string, () => void>> = {
    gzip: () => response.setHeader("content-encoding", "gzip").end(gzipSync(all)),
    deflate: () => response.setHeader("content-encoding", "deflate").end(deflateSync(all)),
    br: () => response.setHeader("content-encoding", "br").end(brotliCompressSync(all)),
    asked: () =>
      accept.includes("gzip")
        ? response.setHeader("content-encoding", "gzip").end(gzipSync(all))
        : response.end(`${accept}\n${all}`),
    header: () => response.setHeader("x-echo", key).setHeader("set-cookie", `k=${key}`).end("see the header"),
    split: () => {
      for (const char of all) response.write(char);
      response.end();
    },
    slow: () => void slowly(all, response),
    trailer: () => {
      response.setHeader("trailer", "x-echo").write("body");
      response.addTrailers({ "x-echo": key });
      response.end();
    },
    reason: () => response.writeHead(200, key.replace(/[^ -~]/g, "")).end("reason"),
    early: () => {
      response.writeEarlyHints({
        link: `<https://x.test/${encodeURIComponent(key)}>; rel=preload`,
        "x-echo": key,
      });
      response.end("early");
    },
    error: () => response.writeHead(500, { "content-type": "text/html" }).end(`<pre>${all}</pre>`),
    redirect: () =>
      response.writeHead(302, { location: `https://x.test/?k=${encodeURIComponent(key)}` }).end(key),
    range: () => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
      if (from === undefined) response.end(key);
      else
        response
          .writeHead(206, { "content-range": `bytes ${from}-${to ?? ""}/*` })
          .end(key.slice(Number(from), Number(to) + 1));
    },
    part: () => response.writeHead(206, { "content-range": "bytes 0-3/9" }).end(key.slice(0, 4)),
  };
  (special[what] ?? (() => response.writeHead(404).end("no such echo")))();
}

async function slowly(text: string, response: ServerResponse): Promise<void> {
  for (let at = 0; at < text.length; at += 5) {
    response.write(text.slice(at, at + 5));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  response.end();
}

interface FarFiles {
  readonly git: string;
  readonly tarball: Buffer;
}

/** A bare repository for git's plain file protocol, and a package. */
function farFiles(folder: string): FarFiles {
  const [work, git, pack] = ["work", "repo.git", "package"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const env = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
  const run = (...args: string[]): void => void execFileSync("git", args, { stdio: "ignore", env });
  run("init", "--quiet", "--initial-branch=main", work);
  writeFileSync(join(work, "hello.txt"), "private\n");
  run("-C", work, "add", ".");
  run(
    "-C",
    work,
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.org",
    "commit",
    "--quiet",
    "-m",
    "first",
  );
  run("clone", "--quiet", "--bare", work, git);
  run("-C", git, "update-server-info");
  mkdirSync(pack);
  writeFileSync(
    join(pack, "package.json"),
    JSON.stringify({ name: "private-thing", version: "1.0.0", main: "i.js" }),
  );
  writeFileSync(join(pack, "i.js"), 'module.exports = "it works";\n');
  return { git, tarball: execFileSync("tar", ["-C", folder, "-cz", "package"]) };
}

function serveGit(
  url: string,
  credentials: string,
  token: string,
  files: FarFiles,
  response: ServerResponse,
): void {
  const wanted = `Basic ${Buffer.from(`x-access-token:${token}`).toString("base64")}`;
  if (credentials !== wanted) {
    response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end("who are you?");
    return;
  }
  const path = join(
    files.git,
    normalize(decodeURIComponent(url.replace(/^\/git\//, "/").replace(/\?.*$/, ""))),
  );
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() === true) response.end(readFileSync(path));
  else response.writeHead(404).end();
}

function servePackage(
  url: string,
  credentials: string,
  token: string,
  files: FarFiles,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (credentials !== `Bearer ${token}`) response.writeHead(401).end("{}");
  else if (url.endsWith(".tgz")) response.end(files.tarball);
  else if (url === "/private-thing") {
    const tarball = `https://${request.headers.host ?? ""}/private-thing-1.0.0.tgz`;
    const version = { name: "private-thing", version: "1.0.0", main: "i.js", dist: { tarball } };
    const document = {
      name: "private-thing",
      "dist-tags": { latest: "1.0.0" },
      versions: { "1.0.0": version },
    };
    response.setHeader("content-type", "application/json").end(JSON.stringify(document));
  } else response.writeHead(404).end("{}");
}
