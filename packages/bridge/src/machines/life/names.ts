import { randomBytes } from "node:crypto";
import { basename } from "node:path";

const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"; // 32 characters, none that look alike

/** A fresh id: a prefix and 16 random characters (80 bits). */
export function freshId(prefix: string): string {
  return `${prefix}_${Array.from(randomBytes(16), (byte) => ALPHABET[byte & 31]).join("")}`;
}

/** A machine name made from a repo's folder name that none of `taken` has. */
export function machineName(repoPath: string, taken: ReadonlySet<string>): string {
  const base =
    basename(repoPath)
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .slice(0, 32)
      .replaceAll(/^-+|-+$/g, "") || "machine";
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? base : `${base}-${n}`;
    if (!taken.has(name)) return name;
  }
}
