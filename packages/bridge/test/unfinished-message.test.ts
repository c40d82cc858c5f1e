import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket, WebSocketServer } from "ws";
import { ByteBudget } from "../src/gateway/byte-budget.ts";
import { UnfinishedMessage } from "../src/gateway/unfinished-message.ts";

const MESSAGE_MS = 1000;

let budget: ByteBudget;
let late: string[];
let near: WebSocket;
let far: WebSocket;
let close: () => void;

beforeEach(async () => {
  budget = new ByteBudget({ bytesPerGrant: 1_000_000, bytesWaiting: 1_000_000 });
  late = [];
  const server = createServer();
  const upgrader = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = new Promise<WebSocket>((resolve) => {
    server.on("upgrade", (request, wire: Duplex, head) => {
      upgrader.handleUpgrade(request, wire, head, (socket) => {
        const tooLong = ({ code }: { code: string }): void => void late.push(code);
        UnfinishedMessage.count(socket, wire, { bytes: budget.of("g"), messageMs: MESSAGE_MS, tooLong });
        resolve(socket);
      });
    });
  });
  far = new WebSocket(`ws://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
  near = await accepted;
  await once(far, "open");
  close = () => {
    far.terminate();
    near.terminate();
    server.close();
  };
});
afterEach(() => close());

test("after a whole message nothing is counted, however long it is quiet then", async () => {
  for (const size of [1, 70_000, 900_000]) {
    far.send("x".repeat(size));
    await once(near, "message");
    assert.equal(budget.waiting, 0);
  }
  near.ping();
  far.ping("hello");
  await once(near, "pong");
  await sleep(2 * MESSAGE_MS);
  assert.deepEqual([budget.waiting, late], [0, []]);
});

test("what is not whole is counted, and told of in time; with the socket its bytes are given back", async () => {
  far.send("x".repeat(500_000), { fin: false });
  while (late.length === 0) await sleep(10);
  assert.deepEqual(late, ["TIMED_OUT"]);
  assert.ok(budget.waiting >= 500_000);
  far.terminate();
  await once(near, "close");
  assert.equal(budget.waiting, 0);
});

test("time in which the door does not read the socket does not count", async () => {
  far.send("x".repeat(500_000), { fin: false });
  while (budget.waiting < 500_000) await sleep(5);
  near.pause();
  await sleep(3 * MESSAGE_MS);
  assert.deepEqual(late, []);
  near.resume();
  while (late.length === 0) await sleep(10);
});

test("beyond what may wait it is not read, and goes on when there is room", async () => {
  const others = budget.of("g");
  assert.ok(others.take(900_000));
  const whole = once(near, "message");
  far.send("x".repeat(400_000));
  while (!near.isPaused) await sleep(5);
  others.give(900_000);
  const [data] = (await whole) as [Buffer];
  assert.deepEqual([data.length, budget.waiting, near.isPaused], [400_000, 0, false]);
});

test("one that is held for too long is told of as too much", async () => {
  assert.ok(budget.of("g").take(950_000));
  far.send("x".repeat(400_000));
  while (late.length === 0) await sleep(10);
  assert.deepEqual(late, ["RATE_LIMITED"]);
});
