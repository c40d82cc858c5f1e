import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import { FRAME, FrameDecoder, encodeMessage, type ExecOpen, type GuestLink } from "@doorward/guest";
import { listenForGuest } from "../src/machines/guest/index.ts";
import { quiet } from "./guest-harness.ts";

/** An error of ours with this code. */
export const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof DoorwardError && error.code === expected;

/** What opens a control connection. */
export const controlHello = {
  connection: "control",
  protocols: [2],
  instance: "0123456789",
  pid: 1,
  runtime: "v0",
  build: "evil",
};

/** Folder of all links of a test file. */
export let folder: string;
let count = 0;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "dw-link-"));
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Where the next link listens. */
export function nextSocket(): string {
  count += 1;
  return join(folder, `m${String(count)}`, "guest.sock");
}

/** A link with nobody at the other end yet. */
export async function lonelyLink(): Promise<{ link: GuestLink; path: string }> {
  const path = nextSocket();
  return { link: await listenForGuest({ socketPath: path, log: quiet }), path };
}

/** A connection of a stranger. */
export async function dialled(path: string): Promise<Socket> {
  const socket = connect(path);
  socket.on("error", () => undefined);
  socket.resume();
  await once(socket, "connect");
  return socket;
}

/** Waits until the other end closed it. */
export function closes(socket: Socket, ms = 60_000): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the socket stayed open")), ms);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** A guest that does what a test tells it; it answers each open with what `play` does on the new stream. */
export async function evilGuest(
  path: string,
  play: (stream: Socket, nonce: string) => void,
): Promise<Socket> {
  const control = connect(path);
  control.on("error", () => undefined);
  control.write(encodeMessage(FRAME.hello, controlHello));
  const decoder = new FrameDecoder(
    new Map([[FRAME.control, { name: "c", min: 2, max: 1e7, streamed: false }]]),
  );
  control.on("data", (chunk: Buffer) => {
    decoder.push(chunk, (_, payload) => {
      const message = JSON.parse(payload.toString()) as { type: string; nonce: string };
      if (message.type !== "open") return;
      const stream = connect(path);
      stream.on("error", () => undefined);
      stream.write(encodeMessage(FRAME.hello, { connection: "stream", nonce: message.nonce }));
      play(stream, message.nonce);
    });
  });
  await once(control, "connect");
  return control;
}

/** A command that does nothing. */
export const execOpen: ExecOpen = { kind: "exec", argv: ["true"], cwd: null, env: {}, stdin: false };
