import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";
import type { Duplex } from "node:stream";
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
import { put } from "./guest-files-lab.ts";
import { soon } from "./guest-harness.ts";

interface Asked {
  readonly op: string;
  readonly id: number;
}

/** A guest that answers each request with what `play` writes; it is the far side of a real socket. */
export class EvilGuest implements AsyncDisposable {
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

/** Frames of a guest, and what it is asked here. */
export const answer = (message: object): Buffer => encodeMessage(FILES_FRAME.answer, message);
export const at = (id: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(id);
  return encodeFrame(FILES_FRAME.at, payload);
};
export const bytes = (content: string | Buffer): Buffer =>
  encodeFrame(FILES_FRAME.bytes, Buffer.from(content));
const credit = (by: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(by);
  return encodeFrame(FILES_FRAME.credit, payload);
};
export const stat = { path: "/repo/a", kind: "file", size: 1, modifiedMs: 0, executable: false };
export const range = { offset: 0, length: 10 };
const search = {
  ...{ path: ".", pattern: "x", literal: true, caseSensitive: true, globs: [], ignored: false },
  ...{ context: 0, limit: 1 },
};

type Case = readonly [
  what: string,
  play: (asked: Asked, socket: Socket) => void,
  call: (files: GuestFiles) => Promise<unknown>,
];

/** Answers every request with frames. */
export const says =
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

/** What it says that no guest may say, and the call that it says it to. */
export const CASES: readonly Case[] = [
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
