import type { Socket } from "node:net";

const NOTHING = Buffer.alloc(0);

/**
 * Lets one direction end without the other. A guest that ended its direction and one that cut the stream both look like
 * an end; only the second takes nothing more, so that a write of nothing fails and destroys the socket.
 */
export function keepHalfOpen(socket: Socket): void {
  socket.allowHalfOpen = true;
  socket.once("end", () => {
    if (!socket.writableEnded) socket.write(NOTHING);
  });
}
