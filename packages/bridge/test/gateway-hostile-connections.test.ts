import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { OwnTime } from "../../../test/support/own-time.ts";
import { ask, closing, dialDoor, eventually, nextText } from "./gateway-dial.ts";
import { startGateway } from "./gateway-harness.ts";
import { hoard } from "./gateway-wire.ts";

describe("hostile connections", () => {
  it("slow headers and slow bodies are cut off in time, others are served meanwhile", async () => {
    await using bench = await startGateway({ config: { limits: { headersMs: 400, requestMs: 600 } } });
    using since = new OwnTime();
    const drip = (first: string): { socket: Socket; ended: Promise<number> } => {
      const socket = connect(bench.port, "127.0.0.1").on("error", () => undefined);
      socket.resume().write(first);
      const timer = setInterval(() => socket.write("a"), 50);
      const ended = once(socket, "close").then(() => {
        clearInterval(timer);
        return since.ms;
      });
      return { socket, ended };
    };
    const head = `Host: 127.0.0.1:${String(bench.port)}\r\n`;
    const { token } = await bench.grant();
    const slow = [
      drip(`GET /healthz HTTP/1.1\r\n${head}X-A: `),
      drip(
        `POST /v1/grants/g_0123456789/narrow HTTP/1.1\r\n${head}Authorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
      ),
    ];
    const silent = connect(bench.port, "127.0.0.1").on("error", () => undefined);
    const silentEnd = once(silent.resume(), "close");
    assert.equal((await ask({ port: bench.port }, { path: "/healthz" })).status, 200);
    const ends = await Promise.all(slow.map(({ ended }) => ended));
    await silentEnd;
    assert.ok(Math.max(...ends) < 10_000, String(ends));
  });

  it("1,000 idle connections neither stop the bridge nor the operator", async () => {
    await using bench = await startGateway({ config: { limits: { headersMs: 20_000 } } });
    const idle = await hoard(bench.port, 1000);
    const began = performance.now();
    assert.equal((await ask({ port: bench.port }, { path: "/healthz" })).status, 200);
    assert.equal((await ask({ socketPath: bench.socket }, { path: "/v1/machines" })).status, 200);
    console.log(`two requests beside 1,000 connections took ${(performance.now() - began).toFixed(1)} ms`);
    for (const socket of idle) socket.destroy();
  });

  it("connections beyond the limit are dropped on TCP, and the operator's socket still answers", async () => {
    await using bench = await startGateway({ config: { limits: { connections: 50 } } });
    const idle = await hoard(bench.port, 50);
    await assert.rejects(ask({ port: bench.port }, { path: "/healthz" }));
    assert.equal((await ask({ socketPath: bench.socket }, { path: "/v1/machines" })).status, 200);
    for (const socket of idle) socket.destroy();
    const served = () => ask({ port: bench.port }, { path: "/healthz" }).then(({ status }) => status);
    let status: number | undefined;
    // Refused for as long as the bridge has not seen them go.
    for (let tries = 0; status === undefined && tries < 6000; tries += 1) {
      status = await served().catch(() => undefined);
      if (status === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(status, 200);
  });

  it("opening and losing 500 door sockets leaves nothing behind", async () => {
    await using bench = await startGateway({ config: { limits: { requestsPerSecond: 10_000 } } });
    const { token } = await bench.grant();
    for (let round = 0; round < 10; round += 1) {
      const sockets = await Promise.all(Array.from({ length: 50 }, () => dialDoor(bench, { token })));
      for (const [at, socket] of sockets.entries()) {
        if (at % 2 === 0) socket.terminate();
        else socket.close();
      }
    }
    await eventually(() => bench.gateway.sessions.count === 0, "no session is left");
    await eventually(() => bench.evidence.closed.length === 500, "every end is recorded");
    assert.equal(bench.evidence.opened.length, 500);
  });

  it("a door that throws closes its socket and nothing else", async () => {
    await using bench = await startGateway();
    const { token } = await bench.grant();
    const fine = await dialDoor(bench, { token });
    await eventually(() => bench.door.sessions.length === 1, "the first session runs");
    Object.defineProperty(bench.door.sessions, "push", {
      value: () => {
        throw new Error("door broke");
      },
      configurable: true,
    });
    const broken = await dialDoor(bench, { token });
    assert.deepEqual(await closing(broken), { code: 1011, reason: "INTERNAL" });
    fine.send("still");
    assert.equal(await nextText(fine), "still");
    fine.terminate();
  });
});
