import { readFileSync } from "node:fs";

/** Content of a small text file, or `null` when it can't be read (absent, not permitted, process gone). */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
