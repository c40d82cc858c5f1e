import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { isIP } from "node:net";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { EgressConnection, EgressDialled, EgressMachine, EgressPermit, EgressTarget } from "../ports.ts";
import { MAX_HELLO, readClientHello } from "../tls/client-hello.ts";
import type { Authority } from "./authority.ts";
import { tunnelKind, type TunnelKind } from "./first-bytes.ts";
import { readUntil } from "./read-until.ts";
import type { RequestServer } from "./request-server.ts";
import type { FrontParts } from "./scope.ts";
import { sever, splice } from "./splice.ts";

/** A program's wish for a tunnel, and how its protocol is told yes or no. */
export interface TunnelRequest {
  readonly stream: Duplex;
  readonly machine: EgressMachine;
  readonly authority: Authority;
  readonly via: EgressTarget["via"];
  readonly signal: AbortSignal;
  accept(): void;
  refuse(error: DoorwardError): void;
}

/** The alert `unrecognized_name` (RFC 8446 6.2), which tells a client why its hello was cut. */
const UNRECOGNIZED_NAME = Buffer.from("15030100020270", "hex");

/**
 * Opens a tunnel: asks the gate, then either passes bytes blindly to the far side or reads what is inside, as the permit
 * says. Blind TLS must name the asked host in its hello before any byte goes on; plain HTTP inside is always read.
 */
export async function openTunnel(
  parts: FrontParts,
  server: RequestServer,
  request: TunnelRequest,
): Promise<void> {
  const { stream, machine, authority, via, signal } = request;
  const life = new AbortController();
  const end = (): void => {
    life.abort();
  };
  stream.once("close", end);
  signal.addEventListener("abort", end, { once: true });
  const answer = { accepted: false };
  const accept = (): void => {
    answer.accepted = true;
    request.accept();
  };
  try {
    const permit = await parts.gate.decide({ machine, ...authority, via }, life.signal);
    const run = isOpened(parts, permit) ? readInside : passBlindly;
    await run(parts, server, { ...request, accept, signal: life.signal }, permit);
  } catch (error) {
    if (answer.accepted) sever(stream);
    else if (!stream.destroyed) request.refuse(toDoorwardError(error));
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** Limits on methods and paths can be kept only where requests are read, so they open a host like a bound secret does. */
function isOpened({ secrets }: FrontParts, permit: EgressPermit): boolean {
  const { machine, host, port } = permit.target;
  const limited = permit.methods !== null || permit.paths !== null;
  return permit.tls === "open" || limited || secrets.boundTo(machine, host, port).length > 0;
}

async function readInside(
  parts: FrontParts,
  server: RequestServer,
  request: TunnelRequest,
  permit: EgressPermit,
): Promise<void> {
  request.accept();
  try {
    const kind = await firstKind(parts, request);
    if (kind === "raw") throw notAllowed(permit, "what it carries is neither TLS nor HTTP");
    const inside = kind === "tls" ? await openTls(parts, request, permit) : request.stream;
    serveInside(parts, server, request, inside, kind);
  } catch (error) {
    const failure = toDoorwardError(error);
    if (failure.code !== "ABORTED") parts.gate.refused(request.machine, permit.target, failure);
    throw failure;
  }
}

async function openTls(parts: FrontParts, request: TunnelRequest, permit: EgressPermit): Promise<Duplex> {
  await checkedHello(parts, request, permit, true);
  const { stream, authority, machine } = request;
  const opened = new TLSSocket(stream, {
    isServer: true,
    secureContext: parts.ca(machine).contextFor(authority.host),
    ALPNProtocols: ["http/1.1"],
  });
  opened.once("close", () => {
    stream.destroy();
  });
  return opened;
}

function serveInside(
  _parts: FrontParts,
  server: RequestServer,
  { machine, authority, via }: TunnelRequest,
  stream: Duplex,
  kind: "tls" | "http",
): void {
  const signal = lifeOf(stream);
  server.serve(stream, { machine, authority, via, signal, scheme: kind === "tls" ? "https" : "http" });
}

/** A signal that ends with a stream. */
function lifeOf(stream: Duplex): AbortSignal {
  const life = new AbortController();
  stream.once("close", () => {
    life.abort();
  });
  return life.signal;
}

async function passBlindly(
  parts: FrontParts,
  server: RequestServer,
  request: TunnelRequest,
  permit: EgressPermit,
): Promise<void> {
  const { stream, signal } = request;
  let far: EgressDialled["socket"] | undefined;
  let cutBy: DoorwardError | undefined;
  const books = parts.gate.track(permit, (reason) => {
    cutBy = reason;
    sever(stream);
    if (far !== undefined) sever(far);
  });
  try {
    const dialled = await parts.gate.dial(permit, signal);
    far = dialled.socket;
    breakTogether(stream, far);
    books.dialled(dialled.address);
    request.accept();
    await spliceChecked(parts, server, request, { permit, far, books });
  } catch (error) {
    if (far !== undefined) sever(far);
    const failure = cutBy ?? toDoorwardError(error);
    books.failed(failure.code);
    throw failure;
  } finally {
    books[Symbol.dispose]();
  }
}

/** From the dial until the splice takes over, an end of one side is the end of both. */
function breakTogether(near: Duplex, far: Duplex): void {
  far.on("error", () => {
    sever(near);
  });
  near.once("close", () => {
    if (!near.readableEnded || near.errored !== null) sever(far);
  });
}

interface Tunnel {
  readonly permit: EgressPermit;
  readonly far: EgressDialled["socket"];
  readonly books: EgressConnection;
}

async function spliceChecked(
  parts: FrontParts,
  server: RequestServer,
  request: TunnelRequest,
  { permit, far, books }: Tunnel,
): Promise<void> {
  const kind = permit.target.port === 443 ? "tls" : await kindWhileFarSpeaks(parts, request, far, books);
  if (kind === "tls") await checkedHello(parts, request, permit, false);
  if (kind === "http") {
    far.destroy();
    serveInside(parts, server, request, request.stream, kind);
    return;
  }
  const how = await splice(request.stream, far, {
    sent: (bytes) => {
      books.sent(bytes);
    },
    received: (bytes) => {
      books.received(bytes);
    },
    idleMs: parts.limits.idleMs,
  });
  if (how === "idle") books.failed("TIMED_OUT");
  else if (how === "broken") books.failed("EGRESS_UNREACHABLE");
}

/** In some protocols the far side speaks first (SSH, SMTP), so its bytes pass while the program's first ones are awaited. */
async function kindWhileFarSpeaks(
  parts: FrontParts,
  request: TunnelRequest,
  far: Duplex,
  books: EgressConnection,
): Promise<TunnelKind> {
  const spoken = { bytes: 0 };
  const pass = (chunk: Buffer): void => {
    spoken.bytes += chunk.length;
    books.received(chunk.length);
    if (!request.stream.write(chunk)) far.pause();
  };
  const resume = (): void => {
    far.resume();
  };
  const end = (): void => {
    request.stream.end();
  };
  far.on("data", pass).once("end", end);
  request.stream.on("drain", resume);
  try {
    const kind = await firstKind(parts, request, parts.limits.idleMs);
    if (kind === "http" && spoken.bytes > 0)
      throw new DoorwardError({
        code: "PROTOCOL_ERROR",
        message: "Cannot read HTTP after the far side spoke",
      });
    return kind;
  } finally {
    far.pause();
    far.off("data", pass).off("end", end);
    request.stream.off("drain", resume);
  }
}

function firstKind(
  parts: FrontParts,
  request: TunnelRequest,
  ms = parts.limits.helloMs,
): Promise<TunnelKind> {
  return readUntil(request.stream, {
    take: (bytes, ended) => {
      const value = tunnelKind(bytes, ended);
      return value === null ? null : { value, used: 0 };
    },
    maxBytes: MAX_HELLO,
    ms,
    signal: request.signal,
    what: "the first bytes of a tunnel",
  });
}

/**
 * Waits for the whole hello and refuses one that names another server. A name must be named: without it a far side that
 * serves many hosts would choose one itself. Where we are the server, its absence does no harm.
 */
async function checkedHello(
  parts: FrontParts,
  request: TunnelRequest,
  permit: EgressPermit,
  opened: boolean,
): Promise<void> {
  const hello = await readUntil(request.stream, {
    take: (bytes) => {
      const value = readClientHello(bytes);
      return value === null ? null : { value, used: 0 };
    },
    maxBytes: MAX_HELLO,
    ms: parts.limits.helloMs,
    signal: request.signal,
    what: "the TLS hello",
  });
  const { host } = permit.target;
  const { serverName } = hello;
  const nameless = serverName === null && (opened || isIP(host) !== 0);
  if (nameless || serverName === host) return;
  request.stream.write(UNRECOGNIZED_NAME);
  throw new DoorwardError({
    code: "EGRESS_MISMATCH",
    message: `Cannot pass on a connection to "${host}": its TLS hello names ${serverName === null ? "no server" : JSON.stringify(serverName)}`,
  });
}

function notAllowed(permit: EgressPermit, why: string): DoorwardError {
  const { host, port } = permit.target;
  return new DoorwardError({
    code: "EGRESS_MISMATCH",
    message: `Cannot pass on a connection to "${host}:${port}": ${why}`,
  });
}
