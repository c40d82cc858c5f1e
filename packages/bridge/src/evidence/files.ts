import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";

/** How {@link replaceFile} writes. */
export interface ReplaceOptions {
  /** Durable before it returns (file and folder). */
  readonly sync?: boolean;
  /** Fails with EEXIST instead of replacing. */
  readonly exclusive?: boolean;
  /** Several processes may write at once: the temporary neighbour has a name of its own. */
  readonly own?: boolean;
}

/** The name that a file is written under before it has its own. */
export function temporaryName(path: string): string {
  return `${path}.tmp`;
}

/** Writes a file whole or not at all: a private temporary neighbour, then a rename. One that can't be written leaves nothing. */
export async function replaceFile(
  path: string,
  bytes: Uint8Array,
  options: ReplaceOptions = {},
): Promise<void> {
  const temporary = options.own === true ? `${path}.${randomUUID()}.tmp` : temporaryName(path);
  await unlink(temporary).catch(() => undefined);
  const file = await open(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    await file.writeFile(bytes);
    if (options.sync === true) await file.datasync();
  } catch (error) {
    // on a full disk it would keep the space that others need
    await unlink(temporary).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
  await putInPlace(temporary, path, options.exclusive === true);
  if (options.sync === true) await syncFolder(dirname(path));
}

async function putInPlace(temporary: string, path: string, exclusive: boolean): Promise<void> {
  if (!exclusive) return rename(temporary, path);
  try {
    await link(temporary, path);
  } finally {
    // a reader that found both names may have ended this already
    await unlink(temporary).catch(() => undefined);
  }
}

/** Makes a folder and its parents, private to the user. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  await syncPath(path);
}

/** Makes a file's bytes, or a folder's names, durable. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
