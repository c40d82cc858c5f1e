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

/** A path as a diff writes it: up to a tab (a time follows), or quoted as in C; null for one that can't be read. */
export function patchPath(text: string): string | null {
  if (text.startsWith('"')) return quoted(text)?.path ?? null;
  const path = (text.split("\t", 1)[0] ?? "").replace(/[\r ]+$/, "");
  return path === "" ? null : path;
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

/** Both names of git's first header, which only a file without hunks needs; null where they can't be told apart. */
export function gitNames(text: string): readonly [string, string] | null {
  const first = quoted(text);
  if (first !== null) {
    const next = patchPath(text.slice(first.end).trimStart());
    return next === null ? null : stripped(first.path, next);
  }
  for (let at = text.indexOf(" "); at !== -1; at = text.indexOf(" ", at + 1)) {
    const next = patchPath(text.slice(at + 1));
    if (next === null) continue;
    const pair = stripped(text.slice(0, at), next);
    if (pair[0] === pair[1]) return pair;
  }
  return null;
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
