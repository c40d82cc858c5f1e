import { hasControl } from "../linux/path-rules.ts";
import type { PathRules } from "../path-rules.ts";

const MAX_PATH_UNITS = 259;
/** Names that are devices in every folder, with any extension; the superscript digits count too. */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³])(?:[ .].*)?$/i;

/** Paths of Windows: a drive and names; no other share, stream, device or spelling of the same file. */
export const WINDOWS_PATHS: PathRules = {
  split: (path) => {
    const [, drive, rest] = /^([A-Za-z]):[\\/](.*)$/s.exec(path) ?? [];
    if (drive === undefined || rest === undefined) return { problem: "it is no absolute path on a drive" };
    if (path.length > MAX_PATH_UNITS) return { problem: "it is longer than a path can be" };
    const names = rest.split(/[\\/]/);
    if (names.at(-1) === "") names.pop();
    for (const name of names) {
      const problem = nameProblem(name);
      if (problem !== null) return { problem };
    }
    return { names: [`${drive.toUpperCase()}:`, ...names] };
  },
  key: (name) => name.toUpperCase(),
};

function nameProblem(name: string): string | null {
  if (name === "" || name === "." || name === "..") return "it is not in its normal form";
  if (hasControl(name)) return "it holds control characters";
  if (/[<>:"|?*]/.test(name)) return "it holds characters that a name cannot have, or a stream";
  if (/[ .]$/.test(name)) return "a name in it ends in a dot or a space, which Windows drops";
  if (DEVICE.test(name)) return `"${name}" is a device`;
  return /~\d/.test(name) ? "it may be a short name of another file" : null;
}
