import type { Socket } from "node:net";
import { carryBytes } from "../carry-bytes.ts";
import { noticeLoss } from "./notice-loss.ts";

const NOTHING = Buffer.alloc(0);
/** How often a connection whose program does not read looks whether its far side is still there. */
const LOOK_MS = 5000;

/**
 * Carries bytes between the bridge and a TCP socket both ways, with half-close and back-pressure, until both directions
 * ended. When either side is cut, the other one is reset, so that nobody takes a broken stream for a finished one.
 */
export function join(bridge: Socket, tcp: Socket): void {
  carry(bridge, tcp, () => endUnlessCut(bridge, tcp));
  carry(tcp, bridge, () => bridge.end());
  noticeLoss(bridge, () => tcp.writableLength > 0, LOOK_MS);
}

function carry(from: Socket, to: Socket, ended: () => void): void {
  if (carryBytes(from, to, () => undefined)) from.resume();
  else from.pipe(to, { end: false });
  from.once("end", ended);
  from.on("error", () => undefined);
  // a socket that closed without its end is as broken as one that failed
  from.once("close", (failed) => {
    if (failed || !from.readableEnded) cut(to);
  });
}

/**
 * A bridge that ended its direction and one that was killed both look like an end here. They differ in that the second
 * reads no more: then even a write of nothing fails.
 */
function endUnlessCut(bridge: Socket, tcp: Socket): void {
  if (bridge.writableEnded) tcp.end();
  else bridge.write(NOTHING, (error) => (error ? cut(tcp) : tcp.end()));
}

/** A reset is an error on the far side; only TCP has one, a Unix socket just closes. */
function cut(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.remoteFamily !== undefined) socket.resetAndDestroy();
  else socket.destroy();
}
