import { chmod, lstat, mkdir, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { DoorwardError } from "@doorward/contracts";

/** Longest socket path that Linux takes. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Makes the folder of a guest's socket ready and removes a socket that an earlier bridge left. The folder itself lets
 * anyone through, as the machine's user must reach the socket in it; the folder above it is the bridge's user's alone.
 */
export async function prepareSocketFolder(socketPath: string): Promise<void> {
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
    throw new DoorwardError({
      code: "HOST_UNSUPPORTED",
      message: `Cannot listen on "${socketPath}": the path is longer than ${String(MAX_SOCKET_PATH_BYTES)} bytes`,
    });
  }
  const folder = dirname(socketPath);
  await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
  await requirePrivate(dirname(folder));
  await mkdir(folder, { recursive: true, mode: 0o711 });
  await chmod(folder, 0o711);
  await removeStale(socketPath);
}

async function requirePrivate(folder: string): Promise<void> {
  const { uid, mode } = await lstat(folder);
  if (uid === process.getuid?.() && (mode & 0o077) === 0) return;
  throw new DoorwardError({
    code: "HOST_UNSUPPORTED",
    message: `Cannot keep guest sockets in "${folder}": other users can reach it`,
    hint: `chmod 700 "${folder}"`,
  });
}

async function removeStale(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new DoorwardError({
      code: "STATE_INVALID",
      message: `Cannot listen on "${socketPath}": something that is not a socket is there`,
    });
  }
  await unlink(socketPath);
}
