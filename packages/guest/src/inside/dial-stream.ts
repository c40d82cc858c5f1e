import { connect, type Socket } from "node:net";
import { encodeMessage } from "../frame.ts";
import { FRAME, type DialOpen } from "../protocol.ts";
import { join } from "./join-streams.ts";
import { StreamFailure, failureOf } from "./stream-failure.ts";

const CONNECT_TIMEOUT_MS = 5000;
/** The machine's own loopback, and nothing else: there is no name or address that the bridge could ask for. */
const LOOPBACK = ["127.0.0.1", "::1"];

/** Connects to a port of the machine's loopback and answers `started` or `failed`; raw bytes follow both ways. */
export async function runDialStream(open: DialOpen, bridge: Socket): Promise<void> {
  bridge.pause();
  try {
    const socket = await dialLoopback(open.port);
    bridge.write(encodeMessage(FRAME.started, {}));
    join(bridge, socket);
    if (bridge.destroyed) socket.destroy();
  } catch (error) {
    bridge.end(encodeMessage(FRAME.failed, failureOf(error)));
    bridge.resume();
  }
}

async function dialLoopback(port: number): Promise<Socket> {
  for (const host of LOOPBACK) {
    const socket = await dialOne(host, port);
    if (socket !== undefined) return socket;
  }
  throw new StreamFailure(
    "PORT_CLOSED",
    `Cannot reach port ${String(port)} of the machine: no program listens there`,
  );
}

function dialOne(host: string, port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const failed = (): void => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, failed);
    socket.once("error", failed);
    socket.once("connect", () => {
      socket
        .setTimeout(0)
        .off("timeout", failed)
        .off("error", failed)
        .on("error", () => undefined);
      resolve(socket);
    });
  });
}
