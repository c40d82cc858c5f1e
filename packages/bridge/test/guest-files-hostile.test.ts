import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { after, before, describe, test } from "node:test";
import {
  FILES_FRAME,
  FRAME,
  FrameDecoder,
  encodeFrame,
  encodeMessage,
  openGuestFiles,
  type GuestDialer,
  type GuestFiles,
} from "@doorward/guest";
import { code, put } from "./guest-files-lab.ts";
import { listenForGuest } from "../src/machines/guest/index.ts";
import { quiet, soon, startLab, type Lab } from "./guest-harness.ts";

interface Asked {
  readonly op: string;
  readonly id: number;
}

/** A guest that answers each request with what `play` writes; it is the far side of a real socket. */
class EvilGuest implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(play: (asked: Asked, socket: Socket) => void, first = encodeMessage(FRAME.started, {})) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.write(first);
      const rules = new Map(
        Object.values(FILES_FRAME).map((type) => [type, { name: "f", min: 0, max: 1e7, streamed: false }]),
      );
      const decoder = new FrameDecoder(rules);
      socket.on("data", (chunk: Buffer) => {
        decoder.push(chunk, (type, payload) => {
          if (type === FILES_FRAME.request) play(JSON.parse(payload.toString()) as Asked, socket);
        });
      });
    });
  }

  async open(): Promise<GuestFiles> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const { port } = this.#server.address() as AddressInfo;
    const dialer: GuestDialer = {
      dial: async (): Promise<Duplex> => {
        const socket = connect(port, "127.0.0.1");
        await once(socket, "connect");
        return socket.pause();
      },
    };
    return await openGuestFiles(
      dialer,
      { roots: [{ path: "/repo", access: "rw" }], workdir: "/repo" },
      soon(),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const answer = (message: object): Buffer => encodeMessage(FILES_FRAME.answer, message);
const at = (id: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(id);
  return encodeFrame(FILES_FRAME.at, payload);
};
const bytes = (content: string | Buffer): Buffer => encodeFrame(FILES_FRAME.bytes, Buffer.from(content));
const credit = (by: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(by);
  return encodeFrame(FILES_FRAME.credit, payload);
};
const stat = { path: "/repo/a", kind: "file", size: 1, modifiedMs: 0, executable: false };
const range = { offset: 0, length: 10 };
const search = {
  ...{ path: ".", pattern: "x", literal: true, caseSensitive: true, globs: [], ignored: false },
  ...{ context: 0, limit: 1 },
};

type Case = readonly [
  what: string,
  play: (asked: Asked, socket: Socket) => void,
  call: (files: GuestFiles) => Promise<unknown>,
];

const says =
  (...frames: ((id: number) => Buffer)[]) =>
  (asked: Asked, socket: Socket): void => {
    if (asked.op !== "cancel" && asked.op !== "send")
      socket.write(Buffer.concat(frames.map((frame) => frame(asked.id))));
  };
const toStat = (ok: unknown): Case => [
  `a stat that is ${JSON.stringify(ok).slice(0, 80)}`,
  says((id) => answer({ id, ok })),
  (files) => files.stat("a", soon()),
];
const toRead = (what: string, ...frames: ((id: number) => Buffer)[]): Case => [
  what,
  says(...frames),
  (files) => files.read("a", range, soon()),
];
const line = { path: "/repo/a", line: 1, match: true, text: "x" };

const CASES: readonly Case[] = [
  [
    "an answer to what nobody asked",
    says((id) => answer({ id: id + 1, ok: stat })),
    (files) => files.stat("a", soon()),
  ],
  ["an answer without content", says((id) => answer({ id })), (files) => files.stat("a", soon())],
  [
    "an unknown error code",
    says((id) => answer({ id, error: { code: "EVIL", message: "x" } })),
    (files) => files.stat("a", soon()),
  ],
  [
    "JSON that is none",
    says(() => encodeFrame(FILES_FRAME.answer, Buffer.from("{{"))),
    (files) => files.stat("a", soon()),
  ],
  [
    "another stream's frame",
    says(() => encodeFrame(FRAME.output, Buffer.from("x"))),
    (files) => files.stat("a", soon()),
  ],
  [
    "a frame that is too large",
    says(() => Buffer.from([FILES_FRAME.answer, 0xff, 0xff, 0xff, 0xff])),
    (files) => files.stat("a", soon()),
  ],
  toStat({ ...stat, path: "/etc/passwd" }),
  toStat({ ...stat, path: "/repo/../etc/passwd" }),
  toStat({ ...stat, path: "/repo/a\0b" }),
  toStat({ ...stat, path: "/repository" }),
  toStat({ ...stat, path: "repo/a" }),
  toStat({ ...stat, size: -1 }),
  toStat({ ...stat, size: 1e300 }),
  toStat({ ...stat, kind: "device" }),
  toStat({ ...stat, more: 1 }),
  toStat(null),
  toRead("bytes before they were asked for", (id) => Buffer.concat([at(id + 7), bytes("x")])),
  toRead("more bytes than were asked for", (id) => Buffer.concat([at(id), bytes("x".repeat(11))])),
  toRead("bytes that are less than it says", (id) =>
    Buffer.concat([at(id), bytes("abc"), answer({ id, ok: { size: 5, bytes: 5, whole: true } })]),
  ),
  toRead("a whole file that is a part", (id) =>
    Buffer.concat([at(id), bytes("abc"), answer({ id, ok: { size: 5, bytes: 3, whole: true } })]),
  ),
  toRead("more announced than was asked for", (id) =>
    answer({ id, head: { size: 1e9, bytes: 1e8, whole: false } }),
  ),
  toRead("two announcements", (id) =>
    Buffer.concat([1, 2].map(() => answer({ id, head: { size: 9, bytes: 9, whole: false } }))),
  ),
  [
    "an announcement for a stat",
    says((id) => answer({ id, head: { size: 1, bytes: 1, whole: false } })),
    (files) => files.stat("a", soon()),
  ],
  ["bytes for a stat", says((id) => Buffer.concat([at(id), bytes("x")])), (files) => files.stat("a", soon())],
  ["credit for nothing", says(() => credit(1)), (files) => files.stat("a", soon())],
  [
    "fewer changes than were asked for",
    says((id) => answer({ id, ok: [] })),
    (files) => files.change([put("a", "x")], soon()),
  ],
  [
    "a change elsewhere",
    says((id) => answer({ id, ok: [{ path: "/etc/x", created: true }] })),
    (files) => files.change([put("a", "x")], soon()),
  ],
  [
    "more entries than were asked for",
    says((id) => answer({ id, ok: { items: ["/repo/a", "/repo/b"], truncated: false } })),
    (files) => files.find({ path: ".", glob: "*", ignored: false, limit: 1 }, soon()),
  ],
  [
    "a name elsewhere",
    says((id) => answer({ id, ok: { items: ["/etc/passwd"], truncated: false } })),
    (files) => files.find({ path: ".", glob: "*", ignored: false, limit: 1 }, soon()),
  ],
  [
    "more lines than were asked for",
    says((id) => answer({ id, ok: { items: [line, line], truncated: false } })),
    (files) => files.search(search, soon()),
  ],
  [
    "a line that is too long",
    says((id) => answer({ id, ok: { items: [{ ...line, text: "x".repeat(2001) }], truncated: false } })),
    (files) => files.search(search, soon()),
  ],
  [
    "a list without items",
    says((id) => answer({ id, ok: { truncated: false } })),
    (files) => files.list({ path: ".", depth: 1, limit: 5 }, soon()),
  ],
];

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
