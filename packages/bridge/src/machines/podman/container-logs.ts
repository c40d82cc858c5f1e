import { open } from "node:fs/promises";
import { join } from "node:path";
import type { EngineFolders } from "./engine-folders.ts";

const readBytes = 1024 * 1024;
const entry = /^\S+ (?:stdout|stderr) ([FP]) ?(.*)$/;

/**
 * The last lines of a container's own output, both streams in the order they were written. Read from conmon's file:
 * Podman 4.3 turns pieces of a line around when it is asked for the last ones.
 */
export async function containerLogs(
  folders: EngineFolders,
  containerId: string,
  lines: number,
): Promise<string> {
  if (!/^[a-f0-9]{64}$/.test(containerId)) return "";
  const path = join(folders.graphRoot, "overlay-containers", containerId, "userdata", "ctr.log");
  const written = joinEntries(await readEnd(path)).split("\n");
  if (written.at(-1) === "") written.pop();
  return written
    .slice(-lines)
    .map((line) => `${line}\n`)
    .join("");
}

async function readEnd(path: string): Promise<string> {
  const file = await open(path).catch(() => null);
  if (file === null) return "";
  try {
    const { size } = await file.stat();
    const length = Math.min(size, readBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const text = buffer.toString("utf8", 0, bytesRead);
    return length < size ? text.slice(text.indexOf("\n") + 1) : text;
  } finally {
    await file.close();
  }
}

/** Each entry is a time, a stream, F for a whole line or P for a piece of one, and the text. */
export function joinEntries(log: string): string {
  const parts = log.split("\n").map((line) => entry.exec(line));
  return parts
    .map((match) => (match === null ? "" : `${match[2] ?? ""}${match[1] === "F" ? "\n" : ""}`))
    .join("");
}
