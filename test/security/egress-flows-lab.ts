import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttp, request as httpRequest, type IncomingMessage } from "node:http";
import { createServer as createHttps } from "node:https";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { WebSocketServer } from "ws";
import {
  askTunnel,
  collect,
  listening,
  startProxyLab,
  type ProxyLab,
} from "../../packages/bridge/test/egress-proxy-lab.ts";
import { farSide } from "./egress-flows-far.ts";

/** Ways through the proxy. */
export const MODES = ["plain", "blind", "opened", "socks", "socks-tls"] as const;

/** One way through the proxy. */
export type Mode = (typeof MODES)[number];

/** The host that each way leads to. */
export const HOSTS: Record<Mode, string> = {
  plain: "plain.test",
  blind: "blind.test",
  opened: "opened.test",
  socks: "plain.test",
  "socks-tls": "blind.test",
};

/** What is asked of a far side beside its path. */
export interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: readonly Buffer[];
  readonly trailers?: Record<string, string>;
  readonly over?: Duplex;
}

/** A request as the far side saw it. */
export interface Echo {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly rawTrailers: string[];
  readonly size: number;
  readonly sha256: string;
}

/** The proxy with one far side behind each way, which also speaks WebSocket. */
export interface FlowsLab extends AsyncDisposable {
  readonly lab: ProxyLab;
  readonly folder: string;
  /** A connection to the far side of a way. */
  reach(mode: Mode): Promise<Duplex>;
  /** A request to it, on a connection of its own where none is given. */
  ask(mode: Mode, path: string, asked?: Asked): Promise<IncomingMessage>;
}

/** Starts it. */
export async function startFlowsLab(): Promise<FlowsLab> {
  const lab = await startProxyLab();
  const folder = mkdtempSync(join(tmpdir(), "doorward-flows-"));
  const plain = createHttp(farSide);
  const secure = createHttps(
    { SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) },
    farSide,
  );
  for (const server of [plain, secure]) {
    // On a host that stands still for a while none of them takes its connections away.
    server.keepAliveTimeout = 600_000;
    new WebSocketServer({ server }).on("connection", (socket) => {
      socket.on("message", (data, binary) => socket.send(data, { binary }));
    });
  }
  const [plainPort, securePort] = [await listening(plain), await listening(secure)];
  lab.allow({ host: "plain.test", ports: [80] }, plainPort);
  lab.allow({ host: "blind.test" }, securePort);
  lab.allow({ host: "opened.test", tls: "open" }, securePort);
  return {
    lab,
    folder,
    reach: (mode) => reach(lab, mode),
    ask: async (mode, path, asked = {}) => ask(asked.over ?? (await reach(lab, mode)), mode, path, asked),
    async [Symbol.asyncDispose]() {
      await lab[Symbol.asyncDispose]();
      for (const server of [plain, secure]) {
        server.closeAllConnections();
        server.close();
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The whole body of an answer. */
export async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** What the far side says of the request. */
export async function echoed(answer: IncomingMessage): Promise<Echo> {
  return JSON.parse((await bodyOf(answer)).toString()) as Echo;
}

async function reach(lab: ProxyLab, mode: Mode): Promise<Duplex> {
  const socket = await lab.dialProxy();
  if (mode === "plain") return socket;
  const host = HOSTS[mode];
  if (mode.startsWith("socks")) await socksTo(socket, host, mode === "socks" ? 80 : 443);
  else assert.match(await askTunnel(socket, `${host}:443`), /^HTTP\/1\.1 200 /);
  if (mode === "socks") return socket.resume();
  const ca = mode === "opened" ? lab.ca : lab.farCa;
  const secured = connectTls({ socket, servername: host, ca: ca.certificate, ALPNProtocols: ["http/1.1"] });
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

function ask(
  stream: Duplex,
  mode: Mode,
  path: string,
  { method = "GET", headers, body, trailers, over }: Asked,
): Promise<IncomingMessage> {
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
