import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { ask, eventually } from "./gateway-dial.ts";
import { startGateway, type Bench } from "./gateway-harness.ts";

/** A gateway for hostile callers, with small messages and no limit of how often they ask, and a grant of it. */
export async function startHostile(): Promise<{ bench: Bench; token: string }> {
  const bench = await startGateway({ config: { limits: { requestsPerSecond: 10_000, frameBytes: 65_536 } } });
  return { bench, token: (await bench.grant()).token };
}

/** Closes it, if it lives: after all that was sent to it, both of its doors must answer. */
export async function closeAlive(bench: Bench): Promise<void> {
  assert.equal((await ask({ port: bench.port }, { path: "/healthz" })).status, 200, "the bridge lives");
  assert.equal((await ask({ socketPath: bench.socket }, { path: "/v1/machines" })).status, 200);
  await bench[Symbol.asyncDispose]();
}

/** Connections that say nothing. */
export async function hoard(port: number, count: number): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(port, "127.0.0.1").on("error", () => undefined);
      await once(socket, "connect");
      return socket;
    }),
  );
}

/** A door's handshake by hand, for a client that never answers frames. */
export function handshake({ port }: Bench, token: string): string {
  return [
    "GET /v1/machines/alpha/doors/terminal HTTP/1.1",
    `Host: 127.0.0.1:${String(port)}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: doorward.terminal.v1",
    `Authorization: Bearer ${token}`,
    "\r\n",
  ].join("\r\n");
}

/** A door's session on a plain socket, for frames by hand. */
export async function upgraded(
  bench: Bench,
  token: string,
): Promise<{ wire: Socket; received: () => Buffer }> {
  const sessions = bench.door.sessions.length;
  const wire = connect(bench.port, "127.0.0.1").on("error", () => undefined);
  const chunks: Buffer[] = [];
  wire.on("data", (chunk: Buffer) => chunks.push(chunk));
  wire.write(handshake(bench, token));
  await eventually(() => bench.door.sessions.length > sessions, "the session runs");
  return { wire, received: () => Buffer.concat(chunks) };
}
