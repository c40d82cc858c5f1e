import type { Socket } from "node:net";
import { systemCall } from "./system-call.ts";

const SOL_SOCKET = 1;

/** Options that Node has no call for, by the kernel's numbers. */
const SOCKET_OPTION = { sendBuffer: 7, linger: 13 } as const;

type SetOption = (fd: number, level: number, name: number, value: Int32Array, size: number) => number;

let setOption: SetOption | undefined;

/** Loads what {@link setSocketOption} needs; throws where it can't be had. */
export function prepareSocketOptions(): void {
  setOption ??= systemCall<SetOption>(
    "int setsockopt(int fd, int level, int name, const int *value, unsigned int size)",
  );
}

/** Sets an option of a connected socket; answers whether the kernel did. */
export function setSocketOption(
  socket: Socket,
  option: keyof typeof SOCKET_OPTION,
  ...value: readonly number[]
): boolean {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null || !("fd" in handle)) return false;
  const { fd } = handle;
  if (typeof fd !== "number" || fd < 0) return false;
  const given = Int32Array.of(...value);
  return setOption?.(fd, SOL_SOCKET, SOCKET_OPTION[option], given, given.byteLength) === 0;
}
