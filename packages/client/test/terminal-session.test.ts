import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import { connect, type TerminalOptions, type TerminalSession } from "../src/index.ts";
import { output, ready, startFarSide, until, type FarSide } from "./far-side.ts";

let far: FarSide;
let text = "";
let gaps: [number, number][] = [];
let states: string[] = [];

beforeEach(async () => {
  far = await startFarSide();
  text = "";
  gaps = [];
  states = [];
});
afterEach(() => far[Symbol.asyncDispose]());

function attach(options: Partial<TerminalOptions> = {}): Promise<TerminalSession> {
  return connect({ socketPath: far.socketPath }).attachTerminal("shop", {
    data: (bytes) => void (text += Buffer.from(bytes).toString()),
    gap: (from, to) => gaps.push([from, to]),
    connection: (state) => states.push(state),
    ...options,
  });
}

describe("a terminal session", { timeout: 600_000 }, () => {
  it("asks for a new terminal by default, and for one by id when given", async () => {
    far.door = (socket) => ready(socket);
    await using first = await attach({ argv: ["htop"], cols: 90, rows: 30 });
    assert.equal(first.id, "t_0123456789");
    await using _second = await attach({ terminal: "t_9876543210", take: true });
    assert.deepEqual(far.hellos.at(0)?.terminal, { new: { argv: ["htop"] } });
    assert.deepEqual([far.hellos.at(0)?.cols, far.hellos.at(0)?.rows], [90, 30]);
    assert.deepEqual([far.hellos.at(1)?.terminal, far.hellos.at(1)?.take], [{ id: "t_9876543210" }, true]);
  });

  it("output sent together with ready is neither lost nor taken for a gap", async () => {
    far.door = (socket) => {
      ready(socket, { offset: 500 });
      output(socket, 500, "abc");
    };
    await using _session = await attach();
    await until("abc", () => text === "abc");
    assert.deepEqual(gaps, []);
  });

  it("goes on at the next byte after lost connections: nothing lost, nothing doubled", async () => {
    const all = Array.from({ length: 3000 }, (_, index) => `${index};`).join("");
    far.door = (socket, hello) => {
      const from = hello.resume ?? 0;
      ready(socket, { offset: from });
      const to = Math.min(all.length, from + 1700);
      for (let at = from; at < to; at += 400) output(socket, at, all.slice(at, Math.min(to, at + 400)));
      if (to < all.length) setTimeout(() => socket.terminate(), 5);
      else socket.send(JSON.stringify({ type: "exit", code: 0, signal: null, offset: all.length }));
    };
    const session = await attach();
    assert.deepEqual(await session.done, { kind: "exit", code: 0, signal: null });
    assert.equal(text, all);
    assert.deepEqual(gaps, []);
    assert.ok(far.hellos.length > 5);
    assert.ok(
      far.hellos
        .slice(1)
        .every(({ terminal, take }) => "id" in terminal && terminal.id === "t_0123456789" && take === true),
    );
  });

  it("bytes that were sent again are dropped, and bytes that are missing are a gap", async () => {
    far.door = (socket) => {
      ready(socket);
      output(socket, 0, "hello");
      output(socket, 3, "lo wor");
      socket.send(JSON.stringify({ type: "gap", from: 9, to: 20 }));
      output(socket, 20, "X");
      output(socket, 30, "Y");
    };
    await using _session = await attach();
    await until("Y", () => text.endsWith("Y"));
    assert.equal(text, "hello worXY");
    assert.deepEqual(gaps, [
      [9, 20],
      [21, 30],
    ]);
  });

  it("a ring that was too small for the outage is a gap", async () => {
    far.door = (socket, hello) => {
      ready(socket, { offset: hello.resume === undefined ? 0 : 100 });
      if (hello.resume === undefined) {
        output(socket, 0, "abc");
        setTimeout(() => socket.terminate(), 10);
      } else output(socket, 100, "z");
    };
    await using _session = await attach();
    await until("z", () => text === "abcz");
    assert.deepEqual(gaps, [[3, 100]]);
  });

  it("a reader that is slow holds the acknowledgements back", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    far.door = (socket) => {
      ready(socket);
      for (let at = 0; at < 65_536; at += 4096) output(socket, at, "x".repeat(4096));
    };
    await using _session = await attach({ data: () => held });
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(
      far.messages.filter(({ type }) => type === "ack"),
      [],
    );
    release();
    await until("acks", () =>
      far.messages.some((message) => message.type === "ack" && message.offset >= 49_152),
    );
  });

  it("what is typed while the connection is down arrives after it, up to 64 KiB", async () => {
    far.door = (socket, hello) => {
      if (hello.resume === undefined) setTimeout(() => socket.terminate(), 10);
      setTimeout(() => ready(socket, { offset: 0 }), hello.resume === undefined ? 0 : 100);
    };
    await using session = await attach();
    await until("lost", () => states.includes("lost"));
    assert.equal(session.write(Buffer.from("typed")), true);
    assert.equal(session.write(Buffer.alloc(65_536)), false);
    await until("back", () => states.includes("back"));
    await until("typed", () => far.binary.some((message) => message.subarray(1).toString() === "typed"));
  });

  for (const [code, reason, expected] of [
    [4410, "GRANT_REVOKED", "GRANT_REVOKED"],
    [4401, "GRANT_EXPIRED", "GRANT_EXPIRED"],
    [4403, "", "OPERATION_NOT_GRANTED"],
    [4404, "TERMINAL_NOT_FOUND", "TERMINAL_NOT_FOUND"],
  ] as const) {
    it(`close code ${code} with "${reason}" ends it with ${expected}, without another try`, async () => {
      far.door = (socket) => {
        ready(socket);
        socket.close(code, reason);
      };
      const end = await (await attach()).done;
      assert.ok(end.kind === "closed" && end.error.code === expected);
      assert.equal(far.hellos.length, 1);
    });
  }

  it("an error message says why the door closed", async () => {
    far.door = (socket) => {
      ready(socket);
      socket.send(
        JSON.stringify({ type: "error", code: "GRANT_REVOKED", message: "laptop lost", fatal: true }),
      );
      socket.close(4410, "GRANT_REVOKED");
    };
    const end = await (await attach()).done;
    assert.ok(end.kind === "closed" && end.error.message === "laptop lost");
  });

  it("a refusal of the hello rejects the attach", async () => {
    far.door = (socket) => socket.close(4404, "TERMINAL_NOT_FOUND");
    await assert.rejects(
      attach({ terminal: "t_0000000000" }),
      (error: DoorwardError) => error.code === "TERMINAL_NOT_FOUND",
    );
  });

  for (const [what, send] of [
    ["text that is not JSON", "nope"],
    ["a message of no known type", '{"type":"magic"}'],
    ["a message with an extra field", '{"type":"size","cols":1,"rows":1,"x":1}'],
  ] as const) {
    it(`${what} ends it with PROTOCOL_ERROR`, async () => {
      far.door = (socket) => {
        ready(socket);
        socket.send(send);
      };
      const end = await (await attach()).done;
      assert.ok(end.kind === "closed" && end.error.code === "PROTOCOL_ERROR");
    });
  }

  it("leaves nothing on its caller's signal, refused or not; a command neither", async () => {
    const { signal } = new AbortController();
    far.door = (socket) => ready(socket);
    await using session = await attach({ signal });
    session.detach();
    far.door = (socket) => socket.close(4404, "TERMINAL_NOT_FOUND");
    await assert.rejects(attach({ signal }));
    far.exec = (socket) => {
      socket.send(JSON.stringify({ type: "started", session: "s_0123456789", stdinWindow: 0, window: 4096 }));
      socket.send(JSON.stringify({ type: "exit", code: 0, signal: null }));
    };
    const client = connect({ socketPath: far.socketPath });
    assert.equal((await client.exec("shop", ["true"], { signal })).code, 0);
    far.exec = (socket) => socket.close(4404, "COMMAND_NOT_FOUND");
    await assert.rejects(client.exec("shop", ["none"], { signal }));
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("gives up after the time it was given, with the bridge's absence as the error", async () => {
    far.door = (socket) => {
      ready(socket);
      setTimeout(() => void far[Symbol.asyncDispose](), 10);
    };
    const end = await (await attach({ reconnectMs: 300 })).done;
    assert.ok(end.kind === "closed" && end.error.code === "BRIDGE_UNREACHABLE");
    far = await startFarSide();
  });

  it("a handler that throws ends the session instead of the process", async () => {
    far.door = (socket) => {
      ready(socket);
      output(socket, 0, "x");
    };
    const session = await attach({
      data: () => {
        throw new Error("full");
      },
    });
    const end = await session.done;
    assert.ok(end.kind === "closed" && /full/.test(end.error.message));
  });
});
