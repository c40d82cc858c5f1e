import type { Duplex } from "node:stream";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import { abortError } from "./abort-error.ts";
import { FrameDecoder, decodeMessage } from "../frame.ts";
import type { GuestDialer } from "../link.ts";
import { DIAL_FROM_GUEST_RULES, FRAME, PortDialled, StreamFailed, expectShape } from "../protocol.ts";
import { plainText } from "./plain-text.ts";

const START_TIMEOUT_MS = 15_000;

/**
 * Connects to a port of the machine's own loopback; answers the raw connection, paused, with half-close. PORT_CLOSED
 * when no program listens there.
 */
export async function dialPort(link: GuestDialer, port: number, signal: AbortSignal): Promise<Duplex> {
  const stream = await link.dial({ kind: "dial", port }, signal);
  stream.on("error", () => undefined);
  try {
    const first = await firstFrame(stream, signal);
    if (first.type === FRAME.started) {
      expectShape(PortDialled, decodeMessage(first.payload), "started");
      return stream;
    }
    const { code, message } = expectShape(StreamFailed, decodeMessage(first.payload), "failure");
    throw new DoorwardError({ code, message: plainText(message) });
  } catch (error) {
    stream.destroy();
    throw toDoorwardError(error);
  }
}

interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

/** Reads one frame and puts what follows it back into the stream. */
function firstFrame(stream: Duplex, signal: AbortSignal): Promise<Frame> {
  const decoder = new FrameDecoder(DIAL_FROM_GUEST_RULES);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      stream.off("data", received).off("close", gone);
      limit.removeEventListener("abort", stop);
      act();
    };
    const stop = (): void => settle(() => reject(abortError(limit)));
    const gone = (): void => settle(() => reject(unreachable()));
    const received = (chunk: Buffer): void => {
      try {
        const frame = frameIn(chunk, decoder, stream);
        if (frame !== undefined) settle(() => resolve(frame));
      } catch (error) {
        settle(() => reject(toDoorwardError(error)));
      }
    };
    limit.addEventListener("abort", stop, { once: true });
    stream.on("data", received).once("close", gone);
    if (limit.aborted) stop();
    stream.resume();
  });
}

/** Feeds bytes until the frame is whole; the decoder never sees a byte of what comes after it. */
function frameIn(chunk: Buffer, decoder: FrameDecoder, stream: Duplex): Frame | undefined {
  let frame: Frame | undefined;
  for (let at = 0; at < chunk.length; at += 1) {
    decoder.push(chunk.subarray(at, at + 1), (type, payload) => (frame = { type, payload }));
    if (frame === undefined) continue;
    stream.pause();
    if (at + 1 < chunk.length) stream.unshift(chunk.subarray(at + 1));
    return frame;
  }
  return undefined;
}

function unreachable(): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: "Cannot reach the machine's port: its guest closed the stream",
  });
}
