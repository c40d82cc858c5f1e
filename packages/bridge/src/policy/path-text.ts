import { isAbsolute, join } from "node:path";

/** Why the form of a path is refused. */
export interface FormProblem {
  /** Stable id, e.g. `policy.paths.form[control]`. */
  readonly rule: string;
  readonly reason: string;
}

const PATH_BYTES = 4096;
const NAME_BYTES = 255;

// C0, DEL, C1, line and paragraph separators, and what turns the direction of text around.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const NOT_TEXT = /[\p{Surrogate}\uFFFD]/u;

/** What is wrong with the form of a path, before anything looks at the disk; null when nothing is. */
export function formProblem(path: string): FormProblem | null {
  if (path === "") return problem("empty", "it is empty");
  if (CONTROL.test(path)) return problem("control", "it has a newline or another control character");
  if (NOT_TEXT.test(path)) return problem("utf8", "it is not valid UTF-8");
  if (Buffer.byteLength(path) >= PATH_BYTES) {
    return problem("length", `it is longer than ${PATH_BYTES - 1} bytes`);
  }
  const names = path.split(/[\\/]/);
  if (names.some((name) => Buffer.byteLength(name) > NAME_BYTES)) {
    return problem("length", `one of its names is longer than ${NAME_BYTES} bytes`);
  }
  if (names.includes("..")) return problem("parent", 'it has a ".." in it');
  if (/^~[^/]/.test(path)) return problem("user", "only ~ itself is understood, not ~user");
  if (!isAbsolute(path) && !isHome(path)) return problem("relative", "it is not absolute");
  return null;
}

/** Replaces a leading `~` by the home folder, and removes `.` and doubled or trailing slashes. */
export function expandPath(path: string, home: string): string {
  const plain = join(isHome(path) ? join(home, path.slice(1)) : path);
  return plain.length > 1 ? plain.replace(/[\\/]+$/, "") : plain;
}

/** A path in quotes where a shell needs them, control characters replaced. */
export function shellPath(path: string): string {
  const shown = path.replace(new RegExp(CONTROL, "gu"), "?");
  return /^[\w@%+=:,./~-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", String.raw`'\''`)}'`;
}

/** A path with its control characters escaped, for messages. */
export function shownPath(path: string): string {
  const visible = path.replace(
    new RegExp(CONTROL, "gu"),
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
  return visible.length > 300 ? `${visible.slice(0, 300)}...` : visible;
}

function isHome(path: string): boolean {
  return path === "~" || path.startsWith("~/");
}

function problem(name: string, reason: string): FormProblem {
  return { rule: `policy.paths.form[${name}]`, reason };
}
