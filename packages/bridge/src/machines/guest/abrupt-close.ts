import type { Socket } from "node:net";
import { systemCall } from "./system-call.ts";

const [SOL_SOCKET, SO_LINGER] = [1, 13];

type SetOption = (fd: number, level: number, name: number, value: Int32Array, size: number) => number;

let setOption: SetOption | undefined;

/** Loads what {@link closeAbruptly} needs; throws where it can't be had. */
export function prepareAbruptClose(): void {
  setOption ??= systemCall<SetOption>(
    "int setsockopt(int fd, int level, int name, const int *value, unsigned int size)",
  );
}

/**
 * Has the kernel reset a connection when it is closed before its direction ended in order, also by the death of this
 * process: nobody takes what was cut for something whole. After `end()` what remains is still delivered.
 */
export function closeAbruptly(socket: Socket): boolean {
  if (!linger(socket, true)) return false;
  // Before anything that destroys the socket on the same event.
  socket.prependOnceListener("finish", () => void linger(socket, false));
  return true;
}

function linger(socket: Socket, abrupt: boolean): boolean {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null || !("fd" in handle)) return false;
  const { fd } = handle;
  if (typeof fd !== "number" || fd < 0) return false;
  return setOption?.(fd, SOL_SOCKET, SO_LINGER, Int32Array.of(abrupt ? 1 : 0, 0), 8) === 0;
}
