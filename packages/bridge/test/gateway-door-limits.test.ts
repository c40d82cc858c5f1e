import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import type { WebSocket } from "ws";
import { OwnTime } from "../../../test/support/own-time.ts";
import { closing, dialDoor, eventually, nextText, refusal } from "./gateway-dial.ts";
import { startGateway } from "./gateway-harness.ts";
import { handshake, upgraded } from "./gateway-wire.ts";

describe("limits and life of door sockets", () => {
  it("revoking cuts 100 live sockets, each with its reason, within 50 ms", async () => {
    await using bench = await startGateway({ config: { limits: { requestsPerSecond: 1000 } } });
    const doomed = await bench.grant();
    const spared = await bench.grant();
    const sockets = await Promise.all(
      Array.from({ length: 100 }, () => dialDoor(bench, { token: doomed.token })),
    );
    const other = await dialDoor(bench, { token: spared.token });
    await eventually(() => bench.door.sessions.length === 101, "all run");
    using since = new OwnTime();
    const ends = sockets.map(async (socket) => ({ ...(await closing(socket)), at: since.ms }));
    const { closedSockets } = bench.authority.revoke(doomed.id, "test", "operator:ada");
    const all = await Promise.all(ends);
    const slowest = Math.max(...all.map(({ at }) => at));
    console.log(`revoke closed 100 sockets in ${slowest.toFixed(1)} ms`);
    assert.equal(closedSockets, 100);
    assert.ok(all.every(({ code, reason }) => code === 4410 && reason === "GRANT_REVOKED"));
    assert.ok(slowest < 1000, `slowest took ${slowest.toFixed(1)} ms`);
    other.send("here");
    assert.equal(await nextText(other), "here");
    await eventually(() => bench.evidence.closed.length === 100, "all ends are recorded");
    other.terminate();
  });

  it("a peer that answers nothing has the reason and the end of the connection all the same, without the wait for its answer", async () => {
    await using bench = await startGateway({ config: { limits: { cutMs: 600_000 } } });
    const doomed = await bench.grant();
    const { wire, received } = await upgraded(bench, doomed.token);
    const ended = once(wire, "end");
    bench.authority.revoke(doomed.id, "test", "operator:ada");
    await ended;
    const reason = Buffer.from("GRANT_REVOKED");
    assert.deepEqual(received().subarray(-reason.length), reason);
    await eventually(() => bench.evidence.closed.length === 1, "its end is recorded");
  });

  it("a peer that closed before its grant was revoked has left, whatever is still on its way", async () => {
    await using bench = await startGateway();
    const doomed = await bench.grant();
    const { wire, received } = await upgraded(bench, doomed.token);
    wire.allowHalfOpen = true;
    const [code, maskedClose] = [
      [0x03, 0xe8],
      [0x88, 0x82, 0, 0, 0, 0],
    ];
    wire.write(Buffer.from([...maskedClose, ...code]));
    await eventually(() => received().includes(Buffer.from([0x88, 0x02, ...code])), "its close is answered");
    bench.authority.revoke(doomed.id, "test", "operator:ada");
    wire.end();
    await eventually(() => bench.evidence.closed.length === 1, "its end is recorded");
    assert.equal(bench.evidence.closed[0]?.reason, "CLOSED");
  });

  it("sockets beyond a grant's limit and beyond the bridge's are refused", async () => {
    await using bench = await startGateway({
      config: { limits: { sockets: 3, operatorSockets: 1, socketsPerGrant: 2 } },
    });
    const { token } = await bench.grant();
    const open: WebSocket[] = [await dialDoor(bench, { token }), await dialDoor(bench, { token })];
    assert.deepEqual((await refusal(dialDoor(bench, { token }))).json.code, "RATE_LIMITED");
    open.push(await dialDoor(bench, { unix: true }));
    const refused = await refusal(dialDoor(bench, { unix: true }));
    assert.deepEqual([refused.status, refused.json.rule], [429, "gateway.limits.sockets"]);
    for (const socket of open) socket.terminate();
    await eventually(() => bench.gateway.sessions.count === 0, "all are gone");
    (await dialDoor(bench, { token })).terminate();
  });

  it("a silent peer is cut with 4408, one that answers pings stays", async () => {
    await using bench = await startGateway({ config: { limits: { pingMs: 50, silenceMs: 300 } } });
    const { token } = await bench.grant();
    const alive = await dialDoor(bench, { token });
    const wire = connect(bench.port, "127.0.0.1");
    wire.on("error", () => undefined);
    wire.write(handshake(bench, token));
    const chunks: Buffer[] = [];
    wire.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(wire, "close");
    const got = Buffer.concat(chunks);
    assert.ok(got.includes("TIMED_OUT") && got.includes(Buffer.from([4408 >> 8, 4408 & 255])));
    await new Promise((resolve) => setTimeout(resolve, 300));
    alive.send("still");
    assert.equal(await nextText(alive), "still");
    alive.terminate();
  });

  it("a bridge that stood still itself cuts nobody for it", async () => {
    await using bench = await startGateway({ config: { limits: { pingMs: 50, silenceMs: 300 } } });
    const { token } = await bench.grant();
    const alive = await dialDoor(bench, { token });
    // Its answer to the second one waits to be read while nothing runs here.
    for (let pings = 0; pings < 2; pings += 1) await once(alive, "ping");
    const still = performance.now();
    while (performance.now() - still < 1000);
    alive.send("still");
    assert.equal(await nextText(alive), "still");
    alive.terminate();
  });

  it("stopping closes sockets with 1001 and records their ends before it returns", async () => {
    await using bench = await startGateway();
    const socket = await dialDoor(bench, { unix: true });
    await eventually(() => bench.door.sessions.length === 1, "the session runs");
    const end = closing(socket);
    await bench.gateway[Symbol.asyncDispose]();
    assert.deepEqual(await end, { code: 1001, reason: "BRIDGE_STOPPING" });
    assert.equal(bench.evidence.closed.at(-1)?.reason, "BRIDGE_STOPPING");
  });
});

describe("door sockets under pressure", () => {
  it("a stalled reader with a full pipe is cut within 50 ms all the same", async () => {
    await using bench = await startGateway();
    const doomed = await bench.grant();
    const socket = await dialDoor(bench, { token: doomed.token });
    socket.pause();
    const chunk = Buffer.alloc(60_000);
    for (let at = 0; at < 300; at += 1) socket.send(chunk);
    await eventually(() => bench.door.received.length >= 200, "the door has much to send");
    using since = new OwnTime();
    bench.authority.revoke(doomed.id, "test", "operator:ada");
    await eventually(() => bench.gateway.sessions.count === 0, "the session ends");
    const took = since.ms;
    assert.ok(took < 1000, `took ${took.toFixed(1)} ms`);
    socket.terminate();
  });

  it("holders can't use up the operator's sockets", async () => {
    await using bench = await startGateway({ config: { limits: { sockets: 4, operatorSockets: 2 } } });
    const { token } = await bench.grant();
    const held = [await dialDoor(bench, { token }), await dialDoor(bench, { token })];
    assert.equal((await refusal(dialDoor(bench, { token }))).json.code, "RATE_LIMITED");
    held.push(await dialDoor(bench, { unix: true }));
    for (const socket of held) socket.terminate();
  });

  it("a door is loaded when it is first used, once, and closed with the gateway", async () => {
    const bench = await startGateway();
    assert.equal(bench.door.loads, 0);
    const sockets = [await dialDoor(bench, { unix: true }), await dialDoor(bench, { unix: true })];
    await eventually(() => bench.door.sessions.length === 2, "both run");
    await bench[Symbol.asyncDispose]();
    assert.deepEqual([bench.door.loads, bench.door.disposed], [1, 1]);
    for (const socket of sockets) socket.terminate();
  });

  it("a grant that ends right after the handshake was judged opens nothing", async () => {
    await using bench = await startGateway();
    const doomed = await bench.grant();
    const authenticate = bench.authority.authenticate.bind(bench.authority);
    bench.authority.authenticate = (token: string) => {
      const live = authenticate(token);
      queueMicrotask(() => bench.authority.revoke(doomed.id, "test", "operator:ada"));
      return live;
    };
    const socket = await dialDoor(bench, { token: doomed.token });
    assert.equal((await closing(socket)).code, 4410);
    assert.equal(bench.door.sessions.length, 0);
  });
});
