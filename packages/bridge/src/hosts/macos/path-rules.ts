import { hasControl } from "../linux/path-rules.ts";
import type { PathRules } from "../path-rules.ts";

const MAX_PATH_BYTES = 1023;
const MAX_NAME_UNITS = 255;

/** Paths of macOS: its file systems take names that differ in case or in Unicode composition for the same one. */
export const MACOS_PATHS: PathRules = {
  split: (path) => {
    if (!path.startsWith("/")) return { problem: "it is no absolute path of this host" };
    if (Buffer.byteLength(path) > MAX_PATH_BYTES) return { problem: "it is longer than a path can be" };
    const names = path.slice(1).split("/");
    if (names.at(-1) === "") names.pop();
    for (const name of names) {
      if (name === "" || name === "." || name === "..") return { problem: "it is not in its normal form" };
      if (hasControl(name)) return { problem: "it holds control characters" };
      // The Finder's view of a name swaps these two.
      if (name.includes(":")) return { problem: "it holds a colon" };
      if (name.toLowerCase() === "..namedfork") return { problem: "it names a resource fork" };
      if (name.normalize("NFD").length > MAX_NAME_UNITS)
        return { problem: "a name in it is longer than one can be" };
    }
    return { names };
  },
  // Upper first: it folds what lower-casing alone keeps apart, e.g. the long s.
  key: (name) => name.normalize("NFD").toUpperCase().toLowerCase().normalize("NFD"),
};
