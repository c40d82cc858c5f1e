import type { Socket } from "node:net";
import { setSocketOption } from "./socket-option.ts";

/**
 * Has the kernel reset a connection when it is closed before its direction ended in order, also by the death of this
 * process: nobody takes what was cut for something whole. After `end()` what remains is still delivered.
 */
export function closeAbruptly(socket: Socket): boolean {
  if (!setSocketOption(socket, "linger", 1, 0)) return false;
  // Before anything that destroys the socket on the same event.
  socket.prependOnceListener("finish", () => void setSocketOption(socket, "linger", 0, 0));
  return true;
}
