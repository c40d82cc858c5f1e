import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { FILES_FRAME, FRAME, encodeFrame, encodeMessage, openGuestFiles } from "@doorward/guest";
import { listenForGuest } from "../src/machines/guest/index.ts";
import { answer, at, bytes, CASES, EvilGuest, range, says, stat } from "./evil-guest.ts";
import { code, put } from "./guest-files-lab.ts";
import { quiet, soon, startLab, type Lab } from "./guest-harness.ts";

describe("a hostile guest", () => {
  for (const [what, play, call] of CASES) {
    test(`${what} ends the stream with GUEST_PROTOCOL, for every call`, async () => {
      await using evil = new EvilGuest((asked, socket) => {
        if (asked.id > 1) play(asked, socket);
      });
      const files = await evil.open();
      const other = assert.rejects(files.stat("other", soon()), code("GUEST_PROTOCOL"));
      await assert.rejects(call(files), code("GUEST_PROTOCOL"));
      await other;
      assert.equal(files.open, false);
      await assert.rejects(files.stat("a", soon()), code("GUEST_PROTOCOL"));
    });
  }

  test("that sends what was announced before there is room for it is cut", async () => {
    const head = { size: 1e8, bytes: 1e8, whole: false };
    await using evil = new EvilGuest((asked, socket) => {
      if (asked.op === "read") socket.write(answer({ id: asked.id, head }));
      if (asked.op === "read" && asked.id === 2) socket.write(Buffer.concat([at(2), bytes("x")]));
    });
    const files = await evil.open();
    const reads = ["a", "b"].map((path) => files.read(path, { offset: 0, length: 1e8 }, soon()));
    await Promise.all(reads.map((read) => assert.rejects(read, code("GUEST_PROTOCOL"))));
  });

  test("that never answers: each wait ends with its signal, and after a while the stream does", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    await using evil = new EvilGuest(() => undefined);
    const files = await evil.open();
    const stop = new AbortController();
    const calls = [
      files.stat("a", stop.signal),
      files.read("a", range, stop.signal),
      files.change([put("a", "", { bytes: Buffer.alloc(5_000_000) })], stop.signal),
      files.change([put("b", "x")], stop.signal),
      ...Array.from({ length: 200 }, () => files.list({ path: ".", depth: 1, limit: 1 }, stop.signal)),
    ];
    const ends = Promise.all(calls.map((call) => assert.rejects(call, code("ABORTED"))));
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await ends;
    const isOpen = (): boolean => files.open;
    assert.equal(isOpen(), true);
    t.mock.timers.tick(10_001);
    for (let turn = 0; turn < 1000 && isOpen(); turn += 1)
      await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isOpen(), false);
  });

  test("that answers late what was given up is put up with", async () => {
    const held: (() => void)[] = [];
    await using evil = new EvilGuest((asked, socket) => {
      if (asked.op === "stat" && asked.id === 1)
        held.push(() => void socket.write(answer({ id: 1, ok: stat })));
      else if (asked.op === "stat") socket.write(answer({ id: asked.id, ok: stat }));
    });
    const files = await evil.open();
    await assert.rejects(files.stat("a", AbortSignal.timeout(50)), code("TIMED_OUT"));
    for (const answerLate of held) answerLate();
    assert.equal((await files.stat("a", soon())).size, 1);
    assert.equal(files.open, true);
  });

  test("that closes in the middle ends every call with GUEST_UNREACHABLE", async () => {
    await using evil = new EvilGuest((asked, socket) => {
      if (asked.id === 3) socket.end(Buffer.concat([at(1), bytes("half")]));
    });
    const files = await evil.open();
    const calls = [files.read("a", range, soon()), files.stat("b", soon()), files.stat("c", soon())];
    for (const { status, reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
      assert.equal(status, "rejected");
      assert.equal(code("GUEST_UNREACHABLE")(reason), true);
    }
  });

  test("whose first frame is no answer, or refuses, is not believed", async () => {
    await using wrong = new EvilGuest(() => undefined, encodeFrame(FILES_FRAME.bytes, Buffer.from("x")));
    await assert.rejects(wrong.open(), code("GUEST_PROTOCOL"));
    await using more = new EvilGuest(() => undefined, encodeMessage(FRAME.started, { root: "/" }));
    await assert.rejects(more.open(), code("GUEST_PROTOCOL"));
  });

  test("whose words would change a terminal is quoted without them", async () => {
    await using evil = new EvilGuest(
      says((id) => answer({ id, error: { code: "PATH_NOT_FOUND", message: "\u001b[2Jgone\n" } })),
    );
    const files = await evil.open();
    await assert.rejects(files.stat("a", soon()), code("PATH_NOT_FOUND", /^\?\[2Jgone\?$/));
  });
});

describe("hostile requests", () => {
  let lab: Lab;
  before(async () => {
    lab = await startLab();
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  const open = {
    kind: "files",
    roots: [{ path: "/tmp", access: "rw", protected: [] }],
    workdir: "/tmp",
  } as const;
  const request = (message: object): Buffer => encodeMessage(FILES_FRAME.request, message);

  test("that break the rules end their stream, and the guest goes on", async () => {
    const write = { kind: "write", path: "x", size: 10, expect: "any", parents: false };
    const broken: readonly (readonly [string, Buffer])[] = [
      ["no JSON", encodeFrame(FILES_FRAME.request, Buffer.from("nope"))],
      ["an unknown operation", request({ op: "exec", id: 1, path: "/bin/sh" })],
      ["an id that is none", request({ op: "stat", id: 0, path: "x" })],
      ["bytes that nobody expects", Buffer.concat([at(1), bytes("x")])],
      [
        "more bytes than were announced",
        Buffer.concat([request({ op: "change", id: 1, changes: [write] }), at(1), bytes("x".repeat(11))]),
      ],
      ["a change that is too large", request({ op: "change", id: 1, changes: [{ ...write, size: 3e8 }] })],
      [
        "too many at once",
        Buffer.concat(
          Array.from({ length: 100 }, (_, index) =>
            request({ op: "change", id: index + 1, changes: [write] }),
          ),
        ),
      ],
      ["another stream's frame", encodeFrame(FRAME.stdin, Buffer.from("x"))],
      ["a frame that is too large", Buffer.from([FILES_FRAME.request, 0xff, 0xff, 0xff, 0xff])],
    ];
    for (const [what, frames] of broken) {
      const stream = await lab.link.dial(
        { ...open, roots: [...open.roots].map((root) => ({ ...root, protected: [] })) },
        soon(),
      );
      stream.on("error", () => undefined).resume();
      stream.write(frames);
      const closed = await Promise.race([once(stream, "close").then(() => true), soonFalse()]);
      assert.equal(closed, true, what);
    }
    assert.ok((await lab.link.health(soon())).rssBytes > 0);
  });

  test("folders that are no absolute paths are refused before anything is opened", async () => {
    for (const path of ["", "repo", "/a\0b", `/${"x".repeat(5000)}`])
      await assert.rejects(
        openGuestFiles(lab.link, { roots: [{ path, access: "rw" }], workdir: "/" }, soon()),
        code("INPUT_INVALID"),
      );
    await assert.rejects(
      openGuestFiles(lab.link, { roots: [], workdir: "/" }, soon()),
      code("INPUT_INVALID"),
    );
  });

  test("a bridge that reads nothing costs the guest little memory", async () => {
    const before = (await lab.link.health(soon())).rssBytes;
    const stream = await lab.link.dial(
      { kind: "files", roots: [{ path: "/", access: "ro", protected: [] }], workdir: "/" },
      soon(),
    );
    stream.on("error", () => undefined).pause();
    for (let id = 1; id <= 60; id += 1)
      stream.write(request({ op: "list", id, path: "/usr/bin", depth: 1, limit: 10_000 }));
    for (let id = 100; id <= 50_000; id += 1) stream.write(request({ op: "stat", id, path: "/usr" }));
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const after = (await lab.link.health(soon())).rssBytes;
    assert.ok(after - before < 200_000_000, `${String(after - before)} bytes`);
    stream.destroy();
  });
});

test("a guest of the previous protocol has no files, and the error says what to do", async () => {
  await using lab = await startLab();
  const path = `${lab.folder}/old/guest.sock`;
  await using link = await listenForGuest({ socketPath: path, log: quiet });
  const control = connect(path);
  control.on("error", () => undefined).resume();
  const hello = { connection: "control", protocols: [2, 1], instance: "0123456789", pid: 1, runtime: "v0" };
  control.write(encodeMessage(FRAME.hello, { ...hello, build: "0.1.0" }));
  assert.equal((await link.ready(soon())).protocol, 2);
  await assert.rejects(
    openGuestFiles(link, { roots: [{ path: "/", access: "ro" }], workdir: "/" }, soon()),
    (error) =>
      code("GUEST_UNREACHABLE", /protocol 2/)(error) &&
      /doorward stop/.test((error as { hint: string }).hint),
  );
  control.destroy();
});

async function soonFalse(): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, 30_000).unref());
  return false;
}
