import type { Socket } from "node:net";

const NOTHING = Buffer.alloc(0);

/**
 * Looks from time to time whether the bridge still reads a socket that is held back here: the end of what is not read
 * is not seen, and who left would stay for good. A write of nothing tells, since it fails once nobody is there, and that
 * closes the socket.
 */
export function noticeLoss(bridge: Socket, isHeld: () => boolean, lookMs: number): void {
  const timer = setInterval(() => {
    if (isHeld() && bridge.writable && bridge.writableLength === 0) bridge.write(NOTHING);
  }, lookMs);
  bridge.once("close", () => clearInterval(timer));
  if (bridge.destroyed) clearInterval(timer);
}
