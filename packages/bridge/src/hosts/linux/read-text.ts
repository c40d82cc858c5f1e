import { readFileSync } from "node:fs";

/** Content of a small text file, or `null` when it can't be read (absent, not permitted, process gone). */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/**
 * Command line of a process that runs as this user, empty for all others: whoever runs as somebody else, in a machine
 * too, can give its processes any name and any arguments.
 */
export function ownCommandLine(pid: number): readonly string[] {
  const folder = `/proc/${String(pid)}`;
  const owner = /^Uid:\s+(\d+)/m.exec(readText(`${folder}/status`) ?? "")?.[1];
  if (owner !== String(process.getuid?.())) return [];
  return (readText(`${folder}/cmdline`) ?? "").split("\0");
}
