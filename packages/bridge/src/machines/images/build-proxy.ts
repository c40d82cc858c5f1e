import { randomBytes, timingSafeEqual } from "node:crypto";
import { lookup } from "node:dns/promises";
import { writeFile } from "node:fs/promises";
import { setMaxListeners } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { isIPv6 } from "node:net";
import type { Duplex } from "node:stream";
import { EGRESS_PRESET_RULES, Guard } from "../../egress/index.ts";

/** A way out for one image build: a proxy on the host's loopback that reaches Debian's mirror and nothing else. */
export interface BuildProxy extends AsyncDisposable {
  /** Settings of apt with the proxy's credentials, in a file of mode 0600. */
  readonly aptFile: string;
  /** What went through so far, by host. */
  fetched(): readonly Fetched[];
}

/** What a build got from one host: requests or tunnels, and bytes that came back. */
export interface Fetched {
  readonly host: string;
  readonly requests: number;
  readonly bytes: number;
}

interface Target {
  readonly host: string;
  readonly port: number;
}

/** The operator's own mirror may have a private address; that very address is then named, and no other. */
interface Allowed extends Target {
  readonly ranges: readonly string[] | null;
}

const guard = new Guard();

/** Opens the way out to the hosts of apt's source lines. `aptFile` is written. */
export async function openBuildProxy(
  sources: readonly string[],
  aptFile: string,
  stop: AbortSignal,
): Promise<BuildProxy> {
  // Each request listens, and apt makes many at once.
  const signal = AbortSignal.any([stop]);
  setMaxListeners(0, signal);
  const allowed = await allowedTargets(sources);
  const credentials = `build:${randomBytes(24).toString("base64url")}`;
  const counts = new Counts();
  const server = createServer((request, response) => {
    if (!admitted(request, credentials)) response.writeHead(407, challenge).end();
    else relay(request, response, { allowed, counts, signal });
  });
  server.on("connect", (request: IncomingMessage, stream: Duplex) => {
    stream.on("error", () => undefined);
    if (admitted(request, credentials)) void tunnel(request, stream, { allowed, counts, signal });
    else stream.end("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const url = `http://${credentials}@127.0.0.1:${String(port)}`;
  const settings = ["http", "https"].map((scheme) => `Acquire::${scheme}::Proxy "${url}";\n`).join("");
  await writeFile(aptFile, settings, { mode: 0o600 });
  return {
    aptFile,
    fetched: () => counts.all(),
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function allowedTargets(sources: readonly string[]): Promise<Allowed[]> {
  const own = await Promise.all(mirrorsOf(sources).map(ownMirror));
  const preset = EGRESS_PRESET_RULES.debian.flatMap(({ host, ports = [443] }) =>
    ports.map((port) => ({ host, port, ranges: null })),
  );
  return [...own, ...preset];
}

function mirrorsOf(sources: readonly string[]): Target[] {
  const urls = sources.flatMap((line) => line.split(" ").filter((word) => /^https?:/.test(word)));
  return [...new Set(urls.map((url) => new URL(url).origin))].map((origin) => {
    const { hostname, port, protocol } = new URL(origin);
    return { host: hostname, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) };
  });
}

async function ownMirror(target: Target): Promise<Allowed> {
  const found = await lookup(target.host, { all: true }).catch(() => []);
  return { ...target, ranges: found.map(({ address }) => `${address}/${isIPv6(address) ? "128" : "32"}`) };
}

const challenge = { "proxy-authenticate": "Basic realm=doorward", "content-length": "0" };

function admitted(request: IncomingMessage, credentials: string): boolean {
  const wanted = Buffer.from(`Basic ${Buffer.from(credentials).toString("base64")}`);
  const given = Buffer.from(request.headers["proxy-authorization"] ?? "");
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function find(allowed: readonly Allowed[], host: string, port: number): Allowed | undefined {
  return allowed.find((each) => each.host === host && each.port === port);
}

interface Way {
  readonly allowed: readonly Allowed[];
  readonly counts: Counts;
  readonly signal: AbortSignal;
}

class Counts {
  readonly #hosts = new Map<string, { host: string; requests: number; bytes: number }>();

  all(): readonly Fetched[] {
    return [...this.#hosts.values()];
  }

  /** Counts a request to a host; what comes back is added by the function that this answers. */
  begin({ host, port }: Target): (bytes: number) => void {
    const name = port === 80 || port === 443 ? host : `${host}:${String(port)}`;
    const row = this.#hosts.get(name) ?? { host: name, requests: 0, bytes: 0 };
    this.#hosts.set(name, row);
    row.requests += 1;
    return (bytes) => void (row.bytes += bytes);
  }
}

function relay(request: IncomingMessage, response: ServerResponse, { allowed, counts, signal }: Way): void {
  const url = URL.canParse(request.url ?? "") ? new URL(request.url ?? "") : undefined;
  const port = url === undefined || url.port === "" ? 80 : Number(url.port);
  const target = url?.protocol === "http:" ? find(allowed, url.hostname, port) : undefined;
  if (url === undefined || target === undefined || !["GET", "HEAD"].includes(request.method ?? "")) {
    response.writeHead(403, { "content-length": "0" }).end();
    return;
  }
  const count = counts.begin(target);
  const failed = (): void => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502, { "content-length": "0" }).end();
  };
  guard.dial({ scheme: "http", ...target }, signal).then(({ socket }) => {
    const { "proxy-authorization": _own, "proxy-connection": _hop, ...headers } = request.headers;
    const outgoing = httpRequest({
      method: request.method,
      path: url.pathname + url.search,
      headers: { ...headers, host: url.host, connection: "close" },
      createConnection: () => socket,
    });
    outgoing.on("error", failed).on("response", (answer) => {
      const { connection: _closes, ...kept } = answer.headers;
      response.writeHead(answer.statusCode ?? 502, kept);
      answer.on("data", (chunk: Buffer) => count(chunk.length));
      answer.on("error", failed).pipe(response);
    });
    response.once("close", () => socket.destroy());
    outgoing.end();
  }, failed);
}

async function tunnel(
  request: IncomingMessage,
  stream: Duplex,
  { allowed, counts, signal }: Way,
): Promise<void> {
  const [host = "", port = ""] = (request.url ?? "").split(":");
  const target = find(allowed, host, Number(port));
  if (target === undefined) {
    stream.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  try {
    const { socket } = await guard.dial({ scheme: "tcp", ...target }, signal);
    const count = counts.begin(target);
    socket.on("data", (chunk: Buffer) => count(chunk.length)).on("error", () => stream.destroy());
    stream.once("close", () => socket.destroy());
    stream.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    socket.pipe(stream).pipe(socket);
  } catch {
    stream.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
  }
}
