import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { prepareSocketOptions, setSocketOption } from "../src/machines/guest/socket-option.ts";

const PIECE = Buffer.alloc(16_384);
const readers: Socket[] = [];
const server = createServer({ pauseOnConnect: true }, (socket) => void readers.push(socket));

before(async () => {
  prepareSocketOptions();
  await once(server.listen(0, "127.0.0.1"), "listening");
});

after(() => {
  for (const reader of readers) reader.destroy();
  server.close();
});

async function connected(): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

/** Bytes that the kernel takes for a peer that reads nothing. */
async function takenFrom(socket: Socket): Promise<number> {
  let taken = 0;
  for (; socket.writableLength === 0 && taken < 64_000_000; taken += PIECE.length) {
    socket.write(PIECE);
    await turn();
  }
  socket.destroy();
  return taken;
}

test("a send buffer that was set is what a peer that does not read can make the kernel keep", async () => {
  const [free, small, large] = [await connected(), await connected(), await connected()];
  assert.equal(setSocketOption(small, "sendBuffer", 131_072), true);
  assert.equal(setSocketOption(large, "sendBuffer", 524_288), true);
  const [left, least, most] = [await takenFrom(free), await takenFrom(small), await takenFrom(large)];
  assert.ok(least < most && most < left, `${String(least)} < ${String(most)} < ${String(left)}`);
});

test("an option of a socket that is gone is not set", async () => {
  const socket = await connected();
  socket.destroy();
  await once(socket, "close");
  assert.equal(setSocketOption(socket, "sendBuffer", 131_072), false);
  assert.equal(setSocketOption(socket, "linger", 1, 0), false);
});
