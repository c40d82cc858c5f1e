import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import type { EgressFront, EgressGate, EgressMachine, SecretBindings } from "../ports.ts";
import type { MachineCa } from "../tls/machine-ca.ts";
import { readAuthority, type Authority } from "./authority.ts";
import { farPool } from "./far-pool.ts";
import { valuesOf } from "./header-rules.ts";
import { FRONT_LIMITS, type FrontLimits } from "./limits.ts";
import { readUntil } from "./read-until.ts";
import { refusalBytes, refusalOf } from "./refusal.ts";
import { requestServer, type ConnectHandler, type RequestServer } from "./request-server.ts";
import type { FrontParts } from "./scope.ts";
import { acceptSocks, readSocksTarget, refuseSocks } from "./socks5.ts";
import { linger, sever } from "./splice.ts";
import { openTunnel } from "./tunnel.ts";

/** What a front needs. */
export interface FrontOptions {
  readonly gate: EgressGate;
  readonly secrets: SecretBindings;
  /** The authority of a machine; asked for when TLS is opened. */
  readonly ca: (machine: EgressMachine) => MachineCa;
  readonly log: Logger;
  readonly limits?: Partial<FrontLimits> | undefined;
}

/** Makes the proxy that serves machines' connections: HTTP CONNECT, plain HTTP and SOCKS5, told apart by their first byte. */
export function createEgressFront(options: FrontOptions): EgressFront {
  const limits = { ...FRONT_LIMITS, ...options.limits };
  const parts: FrontParts = { ...options, limits, pool: farPool(options.gate) };
  const inside = requestServer(parts, refuseConnect);
  const outside = requestServer(parts, async (request, stream, scope) => {
    await connectTunnel(parts, inside, { request, stream, machine: scope.machine, signal: scope.signal });
  });
  return {
    async serve(stream, machine, signal) {
      const closed = new Promise<void>((resolve) => {
        stream.once("close", resolve);
      });
      const end = (): void => {
        sever(stream);
      };
      stream.on("error", (error: Error) => {
        options.log.debug({ machine: machine.id, error: error.message }, "egress stream failed");
      });
      signal.addEventListener("abort", end, { once: true });
      if (signal.aborted) end();
      try {
        await serveByFirstByte(parts, { outside, inside }, { stream, machine, signal });
      } catch (error) {
        const failure = toDoorwardError(error);
        const { code, message } = failure;
        if (code !== "ABORTED") options.gate.refused(machine, null, failure);
        options.log.debug({ machine: machine.id, code, reason: message }, "egress connection refused");
        if (stream.writableEnded) linger(stream, limits.headMs);
        else stream.destroy();
      }
      if (!stream.destroyed) await closed;
      signal.removeEventListener("abort", end);
    },
  };
}

interface Servers {
  readonly outside: RequestServer;
  readonly inside: RequestServer;
}

interface Served {
  readonly stream: Duplex;
  readonly machine: EgressMachine;
  readonly signal: AbortSignal;
}

async function serveByFirstByte(
  parts: FrontParts,
  servers: Servers,
  { stream, machine, signal }: Served,
): Promise<void> {
  const first = await readUntil(stream, {
    take: ([byte]) => (byte === undefined ? null : { value: byte, used: 0 }),
    maxBytes: 1,
    ms: parts.limits.headMs,
    signal,
    what: "the first byte of a connection",
  });
  if (first === 5) {
    const authority = await readSocksTarget(stream, parts.limits, signal);
    await openTunnel(parts, servers.inside, {
      stream,
      machine,
      authority,
      signal,
      via: "socks5",
      accept: () => {
        acceptSocks(stream);
      },
      refuse: (error) => {
        refuseSocks(stream, error);
        linger(stream, parts.limits.headMs);
      },
    });
    return;
  }
  if (first < 0x41 || first > 0x5a) {
    throw new DoorwardError({
      code: "PROTOCOL_ERROR",
      message: "Cannot serve a connection: it is neither HTTP nor SOCKS5",
    });
  }
  servers.outside.serve(stream, { machine, signal, scheme: "http", via: "http", authority: null });
}

async function connectTunnel(
  parts: FrontParts,
  inside: RequestServer,
  { request, stream, machine, signal }: Served & { readonly request: IncomingMessage },
): Promise<void> {
  const refuse = (error: DoorwardError): void => {
    stream.end(refusalBytes(refusalOf(error, request.headers.accept)));
    linger(stream, parts.limits.headMs);
  };
  let authority: Authority;
  try {
    authority = connectAuthority(request);
  } catch (error) {
    const failure = toDoorwardError(error);
    parts.gate.refused(machine, null, failure);
    refuse(failure);
    return;
  }
  await openTunnel(parts, inside, {
    stream,
    machine,
    authority,
    signal,
    via: "connect",
    accept: () => {
      stream.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    },
    refuse,
  });
}

function connectAuthority({ rawHeaders, url = "" }: IncomingMessage): Authority {
  const authority = readAuthority(url, null);
  if (valuesOf(rawHeaders, "content-length").length + valuesOf(rawHeaders, "transfer-encoding").length > 0) {
    throw refused("it has a body", "PROTOCOL_ERROR");
  }
  if (valuesOf(rawHeaders, "upgrade").length > 0) throw refused("it asks for an upgrade", "PROTOCOL_ERROR");
  const hosts = valuesOf(rawHeaders, "host");
  if (hosts.length > 1) throw refused("it has more than one Host header", "PROTOCOL_ERROR");
  for (const text of hosts) {
    const named = readAuthority(text, authority.port);
    if (named.host !== authority.host || named.port !== authority.port) {
      throw refused(`its Host header names ${JSON.stringify(text.slice(0, 300))}`, "EGRESS_MISMATCH");
    }
  }
  return authority;
}

function refused(why: string, code: "PROTOCOL_ERROR" | "EGRESS_MISMATCH"): DoorwardError {
  return new DoorwardError({ code, message: `Cannot open a tunnel: ${why}` });
}

const refuseConnect: ConnectHandler = (_request, stream) => {
  stream.destroy();
  return Promise.resolve();
};
