import { createHash } from "node:crypto";
import { readFileSync, readdirSync, realpathSync, statSync, type Stats } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = ["contracts", "guest", "client", "doors", "bridge"] as const;

/** Version of this Doorward, from the package's own description. */
export function version(): string {
  const description: unknown = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  const found = typeof description === "object" && description !== null && "version" in description;
  return found && typeof description.version === "string" ? description.version : "0.0.0";
}

/** Whether this process runs TypeScript sources instead of a build. */
export function runsFromSource(): boolean {
  return import.meta.url.endsWith(".ts");
}

/**
 * Tells one build from another without reading it: version and a digest over place, name, size and time of every
 * file that a bridge would load. Of what the compiler built, the file that it writes with each build stands for the
 * others: every command asks, and to look at hundreds of files takes it some 20 ms.
 */
export function buildId(): string {
  const kind = runsFromSource() ? "src" : "dist";
  const hash = createHash("sha256");
  for (const name of PACKAGES) {
    const root = join(dirname(packageRoot()), name, kind);
    for (const line of describeBuild(root)) hash.update(line);
  }
  return `${version()}+${hash.digest("hex").slice(0, 16)}`;
}

function packageRoot(): string {
  return realpathSync(fileURLToPath(new URL("..", import.meta.url)));
}

function describeBuild(root: string): string[] {
  const stamp = join(root, ".tsbuildinfo");
  const stats = statSync(stamp, { throwIfNoEntry: false });
  return stats === undefined ? describeFolder(root) : [describeFile(stamp, stats)];
}

/** The command's own files don't count: a bridge does not load them. */
function describeFolder(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return path.endsWith(`${sep}bridge${sep}src${sep}cli`) ? [] : describeFolder(path);
    if (!/\.(?:ts|js)$/.test(entry.name) || entry.name.endsWith(".d.ts")) return [];
    return [describeFile(path, statSync(path))];
  });
}

function describeFile(path: string, { size, mtimeMs }: Stats): string {
  return `${path}\0${size}\0${Math.round(mtimeMs)}\n`;
}
