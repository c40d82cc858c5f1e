import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { FRAME, encodeFrame, encodeMessage, runCommand } from "@doorward/guest";
import fc from "fast-check";
import { Watcher, creating, soon, startLab, until } from "./guest-harness.ts";
import { closes, code, controlHello, dialled, evilGuest, lonelyLink } from "./guest-link-lab.ts";

test("connections that say nothing, nonsense, too much, or a wrong nonce are cut", async () => {
  const { link, path } = await lonelyLink();
  const first = [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    encodeFrame(FRAME.output, Buffer.from("x")),
    encodeFrame(FRAME.hello, Buffer.alloc(5000, "x")),
    encodeMessage(FRAME.hello, { connection: "stream", nonce: "AAAAAAAAAAAAAAAAAAAAAA" }),
    encodeMessage(FRAME.hello, { connection: "root" }),
    encodeMessage(FRAME.hello, { ...controlHello, protocols: [99] }),
    Buffer.alloc(0),
  ];
  for (const bytes of first) {
    const socket = await dialled(path);
    if (bytes.length > 0) socket.write(bytes);
    await closes(socket);
  }
  await link[Symbol.asyncDispose]();
});

test("random bytes never get past the hello", async () => {
  const { link, path } = await lonelyLink();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 5, maxLength: 300 }), async (bytes) => {
      const socket = await dialled(path);
      socket.end(bytes);
      await closes(socket);
    }),
    { numRuns: 50 },
  );
  await assert.rejects(link.ready(AbortSignal.timeout(10)), code("GUEST_UNREACHABLE"));
  await link[Symbol.asyncDispose]();
});

test("many silent connections don't keep a guest out", async () => {
  const { link, path } = await lonelyLink();
  const silent = await Promise.all(Array.from({ length: 60 }, () => dialled(path)));
  await Promise.all(silent.map((socket) => closes(socket)));
  const control = await evilGuest(path, () => undefined);
  await link.ready(soon());
  control.destroy();
  await link[Symbol.asyncDispose]();
});

/** Twenty connections at once that want to be what nobody may be; resolves when all are closed. */
async function knock(path: string): Promise<void> {
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const socket = connect(path);
      socket.on("error", () => undefined);
      socket.end(encodeMessage(FRAME.hello, { connection: "root" }));
      await closes(socket);
    }),
  );
}

test("a flood of connections closes the socket for a moment, and streams in use go on", async () => {
  const lab = await startLab();
  using watcher = await Watcher.open(lab.link, creating());
  await watcher.see("$ ");
  for (let round = 0; round < 30; round++) {
    await knock(lab.socketPath);
  }
  watcher.type("echo still-$((1 + 1))\r");
  await watcher.see("still-2");
  await lab[Symbol.asyncDispose]();
});

test("a command that is started while the socket is closed runs when it is open again", async () => {
  await using lab = await startLab();
  await until("it is closed", async () => {
    await knock(lab.socketPath);
    return !existsSync(lab.socketPath);
  });
  assert.equal(
    (await runCommand(lab.link, { argv: ["echo", "served"] }, soon())).stdout.toString(),
    "served\n",
  );
});

test("a second control connection is refused while the first answers", async () => {
  const lab = await startLab();
  const intruder = await dialled(lab.socketPath);
  intruder.write(encodeMessage(FRAME.hello, controlHello));
  await closes(intruder);
  assert.notEqual((await lab.link.ready(soon())).build, "evil");
  await lab.link.health(soon());
  await lab[Symbol.asyncDispose]();
});

test("a control connection that does not answer gives way to a new one", async () => {
  const { link, path } = await lonelyLink();
  const stuck = await evilGuest(path, () => undefined);
  await link.ready(soon());
  const lost = new Promise<void>((resolve) => link.onLost(resolve));
  const next = await dialled(path);
  next.write(encodeMessage(FRAME.hello, { ...controlHello, instance: "9876543210" }));
  await lost;
  await closes(stuck);
  await until("the new one", async () => (await link.ready(soon())).instance === "9876543210");
  next.destroy();
  await link[Symbol.asyncDispose]();
});
