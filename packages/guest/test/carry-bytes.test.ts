import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { carryBytes } from "../src/carry-bytes.ts";

/** A connection, both ends. */
async function pair(path?: string): Promise<[Socket, Socket, Server]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
  await once(server, "listening");
  const accepted = once(server, "connection");
  const at = path === undefined ? { port: (server.address() as AddressInfo).port } : { path };
  const near = connect({ ...at, allowHalfOpen: true });
  const [far] = (await accepted) as [Socket];
  for (const socket of [near, far]) socket.on("error", () => undefined);
  return [near, far, server];
}

interface Chain {
  readonly first: Socket;
  readonly from: Socket;
  readonly to: Socket;
  readonly last: Socket;
}

/** `first` -> `from`, which is carried into `to` -> `last`; over a Unix socket and over TCP. */
async function chain(run: (chain: Chain) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "dw-carry-"));
  const [first, from, one] = await pair(join(folder, "s"));
  const [to, last, two] = await pair();
  try {
    await run({ first, from, to, last });
  } finally {
    for (const each of [first, from, to, last]) each.destroy();
    one.close();
    two.close();
    rmSync(folder, { recursive: true });
  }
}

async function digestOf(socket: Socket): Promise<{ bytes: number; digest: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  return { bytes, digest: hash.digest("hex") };
}

describe("bytes that are carried through one buffer", () => {
  for (const [what, slow] of [
    ["fast", false],
    ["slow", true],
  ] as const) {
    it(`arrive as they were sent at a ${what} reader, and are counted`, async () => {
      await chain(async ({ first, from, to, last }) => {
        const sent = randomBytes(24_000_000);
        let counted = 0;
        first.write(sent.subarray(0, 1000));
        await once(from, "readable"); // some bytes are in the stream already
        assert.equal(
          carryBytes(from, to, (bytes) => (counted += bytes)),
          true,
        );
        from.once("end", () => to.end());
        from.resume();
        first.end(sent.subarray(1000));
        if (slow) await delay(100);
        const got = await digestOf(last);
        assert.deepEqual(got, {
          bytes: sent.length,
          digest: createHash("sha256").update(sent).digest("hex"),
        });
        assert.equal(counted, sent.length);
      });
    });
  }

  it("wait in the kernel when nobody reads them", async () => {
    await chain(async ({ first, from, to }) => {
      let counted = 0;
      carryBytes(from, to, (bytes) => (counted += bytes));
      from.resume();
      for (let at = 0; at < 64; at += 1) first.write(Buffer.alloc(1_000_000));
      let before = -1;
      for (let same = 0; same < 10; same = counted === before ? same + 1 : 0) {
        before = counted;
        await delay(100);
      }
      await delay(100);
      assert.equal(counted, before);
      assert.ok(counted < 32_000_000, `${String(counted)} bytes went on`);
      assert.ok(to.writableLength <= 262_144);
    });
  });

  it("do not go on when whoever counts them cuts the connection", async () => {
    await chain(async ({ first, from, to, last }) => {
      carryBytes(from, to, () => {
        from.destroy();
        to.destroy();
      });
      from.resume();
      first.write("too much");
      assert.equal((await digestOf(last)).bytes, 0);
    });
  });

  it("are read as a stream where the socket has a reader of its own already", async () => {
    await chain(async ({ from, to }) => {
      assert.equal(
        carryBytes(from, to, () => undefined),
        true,
      );
      assert.equal(
        carryBytes(from, to, () => undefined),
        false,
      );
      await Promise.resolve();
    });
  });

  it("end with their socket, also while some of them wait", async () => {
    await chain(async ({ first, from, to, last }) => {
      carryBytes(from, to, () => undefined);
      from.resume();
      first.write(Buffer.alloc(20_000_000));
      await delay(100);
      const closed = once(from, "close");
      to.destroy();
      from.destroy();
      await closed;
      await digestOf(last);
    });
  });
});
