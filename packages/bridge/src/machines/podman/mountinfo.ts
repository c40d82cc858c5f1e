/** One line of `/proc/PID/mountinfo`. */
export interface MountLine {
  readonly id: number;
  readonly parent: number;
  readonly target: string;
  readonly fstype: string;
  /** Options of the mount itself, e.g. `ro`, `nosuid`, `idmapped`. */
  readonly options: readonly string[];
  /** Options of the file system behind it, e.g. `size=65536k`. */
  readonly superOptions: readonly string[];
}

/** Parses mountinfo (proc(5)); paths are unescaped. */
export function parseMountinfo(text: string): MountLine[] {
  return text.split("\n").flatMap((line) => {
    const [left = "", right = ""] = line.split(" - ");
    const [id, parent, , , target, options] = left.split(" ");
    const [fstype, , superOptions] = right.split(" ");
    if (target === undefined || options === undefined || fstype === undefined) return [];
    return [
      {
        id: Number(id),
        parent: Number(parent),
        target: unescapePath(target),
        fstype,
        options: options.split(","),
        superOptions: (superOptions ?? "").split(","),
      },
    ];
  });
}

/** The kernel writes space, tab, newline and backslash as three octal digits, byte by byte. */
function unescapePath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The mount on top at a target: the last one listed for it. */
export function topMount(lines: readonly MountLine[], target: string): MountLine | undefined {
  return lines.findLast((line) => line.target === target);
}
