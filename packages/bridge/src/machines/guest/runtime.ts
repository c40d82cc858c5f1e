import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import { FileDigests } from "./file-digests.ts";
import { findRuntimeSources, type RuntimeSource, type RuntimeSources } from "./runtime-sources.ts";

/** Where the runtime folder is mounted in every machine. */
export const RUNTIME_MOUNT = "/opt/dw";

/** The folder that every machine gets read-only at `/opt/dw`. */
export interface GuestRuntimeFolder {
  readonly path: string;
  /** `sha256:` over the files' paths, modes and contents; independent of time and of where the folder is. */
  readonly digest: string;
  /** What starts the guest inside a machine. */
  readonly command: string[];
}

/** Where runtime folders are kept. */
export interface GuestRuntimeOptions {
  readonly stateDir: string;
  readonly log: Logger;
}

interface Planned extends RuntimeSource {
  readonly sha256: string;
}

/** Makes the guest's runtime folder unless it exists whole: one per digest, put in place by one rename, verified on reuse. */
export async function ensureGuestRuntime(options: GuestRuntimeOptions): Promise<GuestRuntimeFolder> {
  const root = join(options.stateDir, "guest");
  await mkdir(root, { recursive: true, mode: 0o700 });
  const digests = await FileDigests.open(join(root, "digests.json"));
  const sources = await findRuntimeSources();
  const files = await Promise.all(sources.files.map((file) => plan(file, digests)));
  const digest = digestOf(files);
  const path = join(root, digest);
  if (!(await isWhole(path, files, digests))) {
    await removeLeftovers(root);
    options.log.info({ digest }, "making the guest's runtime folder");
    await install(path, files);
    if (!(await isWhole(path, files, digests))) throw damaged(path);
  }
  await digests.save();
  return { path, digest: `sha256:${digest}`, command: commandOf(sources) };
}

/** Removes runtime folders that no machine uses; answers their digests. */
export async function pruneGuestRuntimes(
  stateDir: string,
  keep: ReadonlySet<string>,
): Promise<readonly string[]> {
  const root = join(stateDir, "guest");
  const names = await readdir(root).catch(() => []);
  const gone = names.filter((name) => /^[a-f0-9]{64}$/.test(name) && !keep.has(`sha256:${name}`));
  for (const name of gone) await removeFolder(join(root, name));
  return gone.map((name) => `sha256:${name}`);
}

async function plan(file: RuntimeSource, digests: FileDigests): Promise<Planned> {
  try {
    return { ...file, sha256: await digests.sha256(file.source) };
  } catch (cause) {
    throw new DoorwardError({
      code: "HOST_UNSUPPORTED",
      message: `Cannot make the guest's runtime folder: "${file.source}" can't be read`,
      hint: file.path === "guest.mjs" ? "npm run bundle -w @doorward/guest" : "npm ci --include=optional",
      cause,
    });
  }
}

function digestOf(files: readonly Planned[]): string {
  const lines = files.map(({ path, mode, sha256 }) => `${sha256} ${mode.toString(8)} ${path}\n`).sort();
  return createHash("sha256").update(lines.join("")).digest("hex");
}

async function isWhole(folder: string, files: readonly Planned[], digests: FileDigests): Promise<boolean> {
  const checks = files.map(async ({ path, mode, sha256 }) => {
    const file = join(folder, path);
    const found = await stat(file).catch(() => undefined);
    if (found?.isFile() !== true || (found.mode & 0o777) !== mode) return false;
    return (await digests.sha256(file)) === sha256;
  });
  return (await Promise.all(checks)).every(Boolean);
}

async function install(path: string, files: readonly Planned[]): Promise<void> {
  const temporary = await mkdtemp(`${path}.new-`);
  try {
    await mkdir(join(temporary, "bin"));
    await mkdir(join(temporary, "lib"));
    for (const file of files) await installFile(temporary, file);
    for (const folder of ["bin", "lib", "."]) await chmod(join(temporary, folder), 0o555);
    await removeFolder(path);
    await rename(temporary, path);
  } catch (error) {
    await removeFolder(temporary);
    throw error;
  }
}

/** What a bridge that was killed in the middle of this left behind. */
async function removeLeftovers(root: string): Promise<void> {
  const names = await readdir(root);
  for (const name of names.filter((candidate) => candidate.includes(".new-"))) {
    await removeFolder(join(root, name));
  }
}

/** Written through to disk, so that a folder in its final place is whole even after a power cut. */
async function installFile(folder: string, file: Planned): Promise<void> {
  const target = join(folder, file.path);
  await copyFile(file.source, target, constants.COPYFILE_FICLONE);
  await chmod(target, file.mode);
  const handle = await open(target);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Folders without write permission can't be emptied by a user who is not root. */
async function removeFolder(path: string): Promise<void> {
  for (const folder of [path, join(path, "bin"), join(path, "lib")]) {
    await chmod(folder, 0o755).catch(() => undefined);
  }
  await rm(path, { recursive: true, force: true });
}

function commandOf(sources: RuntimeSources): string[] {
  return [
    `${RUNTIME_MOUNT}/lib/${sources.loader}`,
    "--library-path",
    `${RUNTIME_MOUNT}/lib`,
    `${RUNTIME_MOUNT}/bin/node`,
    "--max-semi-space-size=2",
    `${RUNTIME_MOUNT}/guest.mjs`,
  ];
}

function damaged(path: string): DoorwardError {
  return new DoorwardError({
    code: "STATE_INVALID",
    message: `Cannot use guest runtime folder "${dirname(path)}": its files are not what was copied there`,
  });
}
