import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DoorwardError } from "@doorward/contracts";

const run = promisify(execFile);

/** One file of the runtime folder and where it comes from. */
export interface RuntimeSource {
  /** Path inside the runtime folder. */
  readonly path: string;
  readonly source: string;
  readonly mode: 0o444 | 0o555;
}

/** The files of the runtime folder, and the name of the loader among them. */
export interface RuntimeSources {
  readonly files: readonly RuntimeSource[];
  readonly loader: string;
}

/** Finds Node's binary, the libraries and loader it needs on this host, the guest's bundle, the native modules, and ripgrep. */
export async function findRuntimeSources(): Promise<RuntimeSources> {
  const entry = fileURLToPath(import.meta.resolve("@doorward/guest"));
  const node = resolved(entry, `node-linux-${process.arch}/package.json`, "bin/node");
  const pty = resolved(entry, "node-pty/package.json", `prebuilds/linux-${process.arch}/pty.node`);
  const ffi = resolved(
    entry,
    `@koromix/koffi-linux-${process.arch}/package.json`,
    `linux_${process.arch}/koffi.node`,
  );
  const ripgrep = resolved(entry, `@vscode/ripgrep-linux-${process.arch}/package.json`, "bin/rg");
  const libraries = await neededLibraries([node, pty, ffi]);
  const loader = libraries.find((path) => basename(path).startsWith("ld-"));
  if (loader === undefined) throw unsupported(`"${node}" names no loader`);
  const files: RuntimeSource[] = [
    { path: "bin/node", source: node, mode: 0o555 },
    { path: "bin/rg", source: ripgrep, mode: 0o555 },
    { path: "guest.mjs", source: join(dirname(entry), "../dist/guest.mjs"), mode: 0o444 },
    { path: "pty.node", source: pty, mode: 0o444 },
    { path: "ffi.node", source: ffi, mode: 0o444 },
    ...libraries.map((source) => ({ path: `lib/${basename(source)}`, source, mode: 0o555 }) as const),
  ];
  return { files, loader: basename(loader) };
}

function resolved(entry: string, manifest: string, file: string): string {
  try {
    return join(dirname(createRequire(entry).resolve(manifest)), file);
  } catch (cause) {
    throw new DoorwardError({
      code: "HOST_UNSUPPORTED",
      message: `Cannot make the guest's runtime folder: package "${dirname(manifest)}" is not installed`,
      hint: "npm ci --include=optional",
      cause,
    });
  }
}

/** What trusted binaries load, each library once, by the name they ask for. */
async function neededLibraries(binaries: readonly string[]): Promise<string[]> {
  const listed = await Promise.all(binaries.map(librariesOf));
  const found = new Map(listed.flat().map((path) => [basename(path), path]));
  await Promise.all([...found.values()].map((path) => realpath(path)));
  return [...found.values()].sort();
}

/** What `ldd` said of a binary; it is asked again when the binary changed or a library has gone, not for every launch. */
const listings = new Map<string, readonly string[]>();

async function librariesOf(binary: string): Promise<readonly string[]> {
  const { ino, size, mtimeMs } = await stat(binary).catch((cause: unknown) => {
    throw unsupported(`"${binary}" can't be read`, cause);
  });
  const key = [binary, ino, size, mtimeMs].join(":");
  const known = listings.get(key);
  if (known?.every((path) => existsSync(path)) === true) return known;
  const { stdout } = await run("ldd", [binary], { env: { LC_ALL: "C" } }).catch((cause: unknown) => {
    throw unsupported(`"ldd" can't read "${binary}"`, cause);
  });
  const paths = pathsIn(stdout);
  listings.set(key, paths);
  return paths;
}

/** Takes `name => /path (0x...)` and `/path (0x...)` lines; `linux-vdso` has no path. */
function pathsIn(listing: string): string[] {
  if (listing.includes("not found")) throw unsupported(`a library is missing: ${listing.trim()}`);
  return listing.split("\n").flatMap((line) => {
    const path = /(?:^|=>)\s*(\/\S+) \(0x/.exec(line)?.[1];
    return path === undefined ? [] : [path];
  });
}

function unsupported(why: string, cause?: unknown): DoorwardError {
  return new DoorwardError({
    code: "HOST_UNSUPPORTED",
    message: `Cannot make the guest's runtime folder: ${why}`,
    cause,
  });
}
