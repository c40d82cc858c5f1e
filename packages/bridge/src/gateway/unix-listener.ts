import { chmod, lstat, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { DoorwardError } from "@doorward/contracts";

const socketPathBytes = 107;
const answerMs = 1000;

/** A listening Unix socket; disposing it removes the file if it is still the one that was made. */
export interface UnixListener extends AsyncDisposable {
  readonly path: string;
}

/**
 * Listens on a Unix socket that only this user can reach. It is made inside a private folder and moved to its place when
 * ready: there is no moment at which another user could connect, and a stale socket is replaced in one step.
 */
export async function listenOnUnix(server: Server, path: string): Promise<UnixListener> {
  const folder = dirname(path);
  guardLength(path);
  await guardFolder(folder);
  await guardFree(path);
  const nursery = await mkdtemp(join(folder, ".b"));
  try {
    const born = join(nursery, "s");
    await listening(server, born);
    await chmod(born, 0o600);
    await rename(born, path);
  } catch (cause) {
    server.close();
    throw cause;
  } finally {
    await rm(nursery, { recursive: true, force: true });
  }
  const { ino, dev } = await lstat(path);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      const now = await lstat(path).catch(() => undefined);
      if (now?.ino === ino && now.dev === dev) await rm(path, { force: true });
    },
  };
}

function guardLength(path: string): void {
  if (Buffer.byteLength(path) <= socketPathBytes) return;
  throw new DoorwardError({
    code: "HOST_UNSUPPORTED",
    message: `Cannot listen on "${path}": a socket's path has ${String(socketPathBytes)} bytes at most`,
  });
}

/** Makes the folder if it is absent, and refuses one that others can enter or that another user made. */
async function guardFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await lstat(folder);
  const uid = process.getuid?.();
  const fault = !found.isDirectory()
    ? "it is not a folder"
    : uid !== undefined && found.uid !== uid
      ? `it belongs to user ${String(found.uid)}`
      : (found.mode & 0o077) !== 0
        ? "others can enter it"
        : undefined;
  if (fault === undefined) return;
  throw new DoorwardError({
    code: "HOST_UNSUPPORTED",
    message: `Cannot listen in "${folder}": ${fault}`,
    hint: `chmod 700 '${folder}'`,
  });
}

/** A socket file is replaced only when nobody answers behind it. */
async function guardFree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new DoorwardError({
      code: "STATE_INVALID",
      message: `Cannot listen on "${path}": something that is not a socket has this name`,
    });
  }
  if (!(await answers(path))) return;
  throw new DoorwardError({
    code: "BRIDGE_RUNNING",
    message: `Cannot listen on "${path}": another bridge answers there`,
    hint: "doorward bridge status",
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const settle = (answered: boolean): void => {
      clearTimeout(timer);
      probe.destroy();
      resolve(answered);
    };
    // A full backlog means that somebody listens, though they are slow.
    const timer = setTimeout(settle, answerMs, true);
    probe.once("connect", () => {
      settle(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      settle(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
