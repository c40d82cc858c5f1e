import type { PathRules } from "../path-rules.ts";

const MAX_PATH_BYTES = 4095;
const MAX_NAME_BYTES = 255;

/** Paths of Linux: bytes between slashes; two spellings are two files. */
export const LINUX_PATHS: PathRules = {
  split: (path) => {
    if (!path.startsWith("/")) return { problem: "it is no absolute path of this host" };
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) return { problem: "it is longer than a path can be" };
    const names = path.slice(1).split("/");
    if (names.at(-1) === "") names.pop();
    for (const name of names) {
      if (name === "" || name === "." || name === "..") return { problem: "it is not in its normal form" };
      if (hasControl(name)) return { problem: "it holds control characters" };
      if (Buffer.byteLength(name) > MAX_NAME_BYTES)
        return { problem: "a name in it is longer than one can be" };
    }
    return { names };
  },
  key: (name) => name,
};

/** Whether text holds NUL or another control character. */
export function hasControl(text: string): boolean {
  return /[\u0000-\u001f\u007f]/.test(text);
}
