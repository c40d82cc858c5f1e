import { readFile } from "node:fs/promises";
import { liesIn } from "./deny-list.ts";

/** A mount of this host: which part of which file system stands where. */
interface Mount {
  readonly device: string;
  /** The part of the file system that is mounted. */
  readonly root: string;
  readonly target: string;
}

/**
 * Other paths under which a resolved folder, or a part of it, is mounted on this host too: a bind mount of the home folder
 * is the home folder, and nothing in its own path says so. None where there is no mountinfo (proc(5)).
 */
export async function mountAliases(resolved: string): Promise<readonly string[]> {
  const text = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  return aliasesIn(parseMounts(text), resolved);
}

/** The same, by a table of mounts. */
export function aliasesIn(mounts: readonly Mount[], resolved: string): readonly string[] {
  const over = mounts
    .filter(({ target }) => liesIn(resolved, target))
    .reduce<Mount | undefined>((best, each) => {
      return best !== undefined && best.target.length > each.target.length ? best : each;
    }, undefined);
  if (over === undefined) return [];
  const within = join(over.root, resolved.slice(over.target === "/" ? 0 : over.target.length));
  const aliases = mounts.flatMap(({ device, root, target }) => {
    if (device !== over.device) return [];
    if (liesIn(within, root)) return [join(target, within.slice(root === "/" ? 0 : root.length))];
    return liesIn(root, within) ? [target] : [];
  });
  // What is mounted below a folder has its own path already, and mounts beneath a repo are refused elsewhere.
  return [...new Set(aliases)].filter((alias) => !liesIn(alias, resolved));
}

/** Reads device, root and target of each line of mountinfo. */
export function parseMounts(text: string): readonly Mount[] {
  return text.split("\n").flatMap((line) => {
    const [, , device, root, target] = line.split(" ");
    if (device === undefined || root === undefined || target === undefined) return [];
    return [{ device, root: unescape(root), target: unescape(target) }];
  });
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function join(folder: string, rest: string): string {
  const inside = rest.replace(/^\/+/, "");
  if (inside === "") return folder;
  return folder.endsWith("/") ? `${folder}${inside}` : `${folder}/${inside}`;
}
