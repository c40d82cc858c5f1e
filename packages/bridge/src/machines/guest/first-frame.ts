import type { Socket } from "node:net";
import { ConnectionHello, FrameDecoder, HELLO_RULES, decodeMessage, expectShape } from "@doorward/guest";

const HELLO_TIMEOUT_MS = 3000;

/**
 * Reads the hello that opens every connection from a guest and nothing after it: what follows goes back into the socket.
 * Calls back once with the hello, or with `undefined` when the peer is wrong, slow or gone; the socket is then destroyed.
 */
export function readHello(socket: Socket, done: (hello: ConnectionHello | undefined) => void): void {
  const decoder = new FrameDecoder(HELLO_RULES);
  const timer = setTimeout(() => finish(undefined), HELLO_TIMEOUT_MS);
  const gone = (): void => finish(undefined);
  const finish = (hello: ConnectionHello | undefined): void => {
    clearTimeout(timer);
    socket.off("data", received).off("close", gone);
    if (hello === undefined) socket.destroy();
    done(hello);
  };
  const received = (chunk: Buffer): void => {
    try {
      const hello = helloIn(chunk, decoder, socket);
      if (hello !== undefined) finish(hello);
    } catch {
      finish(undefined);
    }
  };
  socket.on("data", received).once("close", gone);
}

/** Feeds bytes until the first frame is whole; the decoder never sees a byte of what comes after it. */
function helloIn(chunk: Buffer, decoder: FrameDecoder, socket: Socket): ConnectionHello | undefined {
  let hello: ConnectionHello | undefined;
  for (let at = 0; at < chunk.length; at += 1) {
    decoder.push(chunk.subarray(at, at + 1), (_, payload) => {
      hello = expectShape(ConnectionHello, decodeMessage(payload), "hello");
    });
    if (hello === undefined) continue;
    socket.pause();
    if (at + 1 < chunk.length) socket.unshift(chunk.subarray(at + 1));
    return hello;
  }
  return undefined;
}
