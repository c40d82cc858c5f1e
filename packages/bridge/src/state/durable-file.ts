import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/** Puts a small file in place, with mode 0600 where none is said: the old or the new content after a crash, and durable when this returns. */
export function writeDurably(path: string, text: string, mode = 0o600): void {
  const draft = `${path}.${process.pid}.new`;
  try {
    const file = openSync(draft, "w", mode);
    try {
      fchmodSync(file, mode);
      // All of it or an error: on a disk that is all but full a single write takes what fits, and is content.
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** The same for what is written at every start: a file that holds it already is left alone, so that a full disk does no harm. */
export function keepWritten(path: string, text: string, mode = 0o600): void {
  if (holds(path, text)) return;
  writeDurably(path, text, mode);
}

function holds(path: string, text: string): boolean {
  try {
    return readFileSync(path, "utf8") === text;
  } catch {
    return false;
  }
}

/** Makes the names in a folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
