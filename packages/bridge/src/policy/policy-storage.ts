import { constants } from "node:fs";
import { lstat, mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { POLICY_BYTES, type TextSource } from "./strict-text.ts";

const OTHERS_WRITE = 0o022;

/** Text and mode of a policy file. */
export interface StoredPolicy {
  readonly text: string;
  readonly mode: number;
}

/** Reads a file of the policy that only its owner (the bridge's user or root) can change; null when there is none. */
export async function readPolicyFile(
  path: string,
  what: TextSource["what"] = "policy",
): Promise<StoredPolicy | null> {
  const source = { file: path, what };
  const handle = await openOwn(source);
  if (handle === null) return null;
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw unsafe(source, "it is not a regular file", `rm -r '${path}'`);
    refuseForeign(source, stat);
    await checkFolder(dirname(path));
    if (stat.size > POLICY_BYTES)
      throw unsafe(source, `it is larger than ${POLICY_BYTES} bytes`, `ls -l '${path}'`);
    const buffer = Buffer.alloc(POLICY_BYTES + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return { text: decode(source, buffer.subarray(0, bytesRead)), mode: stat.mode & 0o777 };
  } finally {
    await handle.close();
  }
}

/** Replaces a policy file: after a crash it is the old or the new one. A new one is private. */
export async function writePolicyFile(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await checkFolder(dirname(path));
  const draft = `${path}.${process.pid}.${Date.now().toString(36)}.new`;
  try {
    const handle = await open(draft, "wx", mode);
    try {
      await handle.chmod(mode);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** Removes a policy file, for good once it returns. */
export async function removePolicyFile(path: string): Promise<void> {
  await rm(path);
  await syncFolder(dirname(path));
}

async function openOwn(source: TextSource): Promise<FileHandle | null> {
  const { file: path } = source;
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return await open(path, flags);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") return null;
    if (code === "ELOOP")
      throw unsafe(source, "it is a symlink", `cp --remove-destination "$(realpath '${path}')" '${path}'`);
    throw unsafe(source, `it can't be opened (${String(code)})`, `ls -l '${path}'`, error);
  }
}

async function checkFolder(folder: string): Promise<void> {
  const stat = await lstat(folder);
  if (stat.isDirectory()) refuseForeign({ file: folder, what: "policy" }, stat);
}

function refuseForeign(source: TextSource, stat: { readonly uid: number; readonly mode: number }): void {
  const { file: path } = source;
  const self = process.geteuid?.();
  if (self === undefined) return;
  if (stat.uid !== self && stat.uid !== 0) {
    throw unsafe(source, `it belongs to user ${stat.uid}`, `chown ${self} '${path}'`);
  }
  if ((stat.mode & OTHERS_WRITE) !== 0) {
    throw unsafe(source, "its group or others may write to it", `chmod go-w '${path}'`);
  }
}

function decode(source: TextSource, bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw unsafe(source, "it is not valid UTF-8", `file '${source.file}'`, error);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unsafe(source: TextSource, why: string, hint: string, cause?: unknown): DoorwardError {
  return new DoorwardError({
    code: "POLICY_INVALID",
    message: `Cannot read ${source.what} "${source.file}": ${why}`,
    hint,
    cause,
  });
}
