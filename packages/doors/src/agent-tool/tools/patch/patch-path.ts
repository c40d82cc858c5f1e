import { isUtf8 } from "node:buffer";

const ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  t: 9,
  n: 10,
  v: 11,
  f: 12,
  r: 13,
  '"': 34,
  "\\": 92,
};

/** Longest path in a diff: each byte may be written as four characters, between quotes. */
const WRITTEN_CHARS = 4 * 4096 + 2;

/** A path as a diff writes it: up to a tab (a time follows), or quoted as in C; null for one that can't be read. */
export function patchPath(text: string): string | null {
  const written = text.split("\t", 1)[0]?.trimEnd() ?? "";
  if (written === "" || written.length > WRITTEN_CHARS) return null;
  return written.startsWith('"') ? (quoted(written)?.path ?? null) : written;
}

/** The names of a pair without the folder that stands for old and new, e.g. `a/` and `b/`. */
export function stripped(old: string, next: string): readonly [string, string] {
  const [a, b] = [/^([a-z])\/(.+)$/s.exec(old), /^([a-z])\/(.+)$/s.exec(next)];
  if (a?.[2] !== undefined && b?.[2] !== undefined && (a[2] === b[2] || (a[1] === "a" && b[1] === "b"))) {
    return [a[2], b[2]];
  }
  if (old === "/dev/null" && b?.[1] === "b" && b[2] !== undefined) return [old, b[2]];
  if (next === "/dev/null" && a?.[1] === "a" && a[2] !== undefined) return [a[2], next];
  return [old, next];
}

/** Both names of git's first header, which only a file without hunks needs, so they are the same; null for others. */
export function gitNames(text: string): readonly [string, string] | null {
  if (text.length > 2 * WRITTEN_CHARS + 1) return null;
  const end = quoted(text)?.end ?? (text.length - 1) / 2;
  const [old, next] = [patchPath(text.slice(0, end)), patchPath(text.slice(end + 1))];
  if (text[end] !== " " || old === null || next === null) return null;
  const pair = stripped(old, next);
  return pair[0] === pair[1] ? pair : null;
}

function quoted(text: string): { readonly path: string; readonly end: number } | null {
  const found = /^"((?:[^"\\]|\\(?:[0-7]{3}|["\\abtnvfr]))*)"/.exec(text);
  if (found?.[1] === undefined) return null;
  const parts = found[1].match(/\\(?:[0-7]{3}|.)|[^\\]+/g) ?? [];
  const bytes = Buffer.concat(parts.map(unescaped));
  return isUtf8(bytes) ? { path: bytes.toString("utf8"), end: found[0].length } : null;
}

function unescaped(part: string): Buffer {
  if (!part.startsWith("\\")) return Buffer.from(part, "utf8");
  const code = ESCAPES[part.slice(1)] ?? Number.parseInt(part.slice(1), 8);
  return Buffer.from([code & 0xff]);
}
