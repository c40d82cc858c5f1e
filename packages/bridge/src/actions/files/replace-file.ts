import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { inFolder } from "../../machines/mounts/beneath.ts";

/** What a new file is to be. */
export interface FileLook {
  readonly content: Buffer;
  readonly mode: number;
  /** Owner and group to keep; null for a new file. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
}

/** A fresh name for a file that is not finished yet. */
export function unfinishedName(): string {
  return `.doorward-${randomBytes(8).toString("hex")}.tmp`;
}

/** Puts a file in a held folder in one step: whoever looks sees the old one or the whole new one, also after a crash. */
export function replaceFile(
  folder: number,
  name: string,
  look: FileLook,
  unfinished = unfinishedName(),
): void {
  const temp = inFolder(folder, unfinished);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const fd = openSync(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    try {
      fillFile(fd, look);
    } finally {
      closeSync(fd);
    }
    renameSync(temp, inFolder(folder, name));
  } catch (error) {
    unlinkSync(temp);
    throw error;
  }
  syncFolder(folder);
}

/** Makes names in a held folder durable. */
export function syncFolder(folder: number): void {
  const fd = openSync(`/proc/self/fd/${String(folder)}`, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Owner first: changing it clears bits of the mode. */
function fillFile(fd: number, { content, mode, owner }: FileLook): void {
  for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
  const isOurs = owner === null || (owner.uid === process.getuid?.() && owner.gid === process.getgid?.());
  if (!isOurs) fchownSync(fd, owner.uid, owner.gid);
  fchmodSync(fd, mode & 0o777);
  fsyncSync(fd);
}
