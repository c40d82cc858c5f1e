import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, link, open, readdir, statfs, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as z from "zod";
import { DoorwardError, Reference } from "@doorward/contracts";
import { makeFolder, syncFolder } from "./files.ts";
import { isMissing } from "./key.ts";
import { openPublic } from "./read-public.ts";

/** What a file that records refer to may take up, and what a large one must leave free on its disk. */
const limits = { bytes: 64 * 1024 * 1024, freeBytes: 128 * 1024 * 1024 } as const;
/** Files up to this size are of a record's own kind: a launch needs its mount evidence on a small disk too. */
const SMALL_BYTES = 256 * 1024;

/** Where referenced files lie, below the evidence folder and in an export. */
export const REFERENCED = "referenced";

/** What the canonical JSON of a record that refers to a kept file holds. */
export const REFERENCE_MARK = `"path":"${REFERENCED}/`;

/** How {@link ReferencedFiles.keep} keeps. */
export interface KeepOptions {
  /** Media type of the contents, e.g. application/x-asciicast. */
  readonly mediaType?: string | undefined;
  /** Most bytes; 64 MiB when left out. */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Files that are too big for a record, each named by the SHA-256 of its bytes: transcripts, patches, mount evidence. */
export class ReferencedFiles {
  readonly #dir: string;

  constructor(evidenceDir: string) {
    this.#dir = join(evidenceDir, REFERENCED);
  }

  /** Keeps bytes; they are durable when it returns, so that a record may name them. Refuses what is over its cap or would fill the disk. */
  async keep(
    content: Uint8Array | AsyncIterable<Uint8Array>,
    { mediaType, maxBytes = limits.bytes, signal }: KeepOptions = {},
  ): Promise<Reference> {
    await makeFolder(this.#dir);
    const temporary = join(this.#dir, `.${randomUUID()}.tmp`);
    try {
      const { digest, bytes } = await this.#write(temporary, chunksOf(content), maxBytes, signal);
      await putInPlace(temporary, join(this.#dir, digest));
      await syncFolder(this.#dir);
      const reference = { digest: `sha256:${digest}`, bytes, path: `${REFERENCED}/${digest}` };
      return mediaType === undefined ? reference : { ...reference, mediaType };
    } finally {
      await unlink(temporary).catch(() => undefined);
    }
  }

  async #write(
    path: string,
    chunks: AsyncIterable<Uint8Array>,
    maxBytes: number,
    signal: AbortSignal | undefined,
  ) {
    const free = await freeBytes(this.#dir);
    const hash = createHash("sha256");
    let bytes = 0;
    const file = await open(
      path,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    try {
      for await (const chunk of chunks) {
        signal?.throwIfAborted();
        bytes += chunk.length;
        if (bytes > maxBytes) throw tooLarge(maxBytes);
        if (bytes > SMALL_BYTES && bytes > free - limits.freeBytes) throw full();
        hash.update(chunk);
        await file.writeFile(chunk);
      }
      await file.datasync();
    } finally {
      await file.close();
    }
    return { digest: hash.digest("hex"), bytes };
  }
}

/** What became of one referenced file. */
export type ReferenceState = "present" | "missing" | "wrong";

/** Compares a referenced file with what a record says of it. */
export async function checkReference(
  evidenceDir: string,
  { path, digest, bytes }: Reference,
): Promise<ReferenceState> {
  const name = referencedName(path);
  if (name === null || digest !== `sha256:${name}`) return "wrong";
  try {
    await using file = await openPublic(join(evidenceDir, REFERENCED, name));
    const stat = await file.stat();
    if (!stat.isFile() || stat.size !== bytes) return "wrong";
    const hash = createHash("sha256");
    for await (const chunk of file.createReadStream({ end: bytes, autoClose: false }))
      hash.update(z.instanceof(Uint8Array).parse(chunk));
    return hash.digest("hex") === name ? "present" : "wrong";
  } catch (error) {
    return isMissing(error) ? "missing" : "wrong"; // what can't be read is not what was kept
  }
}

/** The folder that `referenced` lies in: that of an export, which has its own, or the one above a log's own folder. */
export async function referencedParent(logDir: string): Promise<string> {
  if (await isThere(join(logDir, REFERENCED))) return logDir;
  return (await isThere(join(logDir, "journal"))) ? dirname(logDir) : logDir;
}

/** Files of an export's `referenced` whose digest is not among those that its records name. */
export async function strangers(dir: string, digests: ReadonlySet<string>): Promise<string[]> {
  const names = await readdir(join(dir, REFERENCED)).catch(() => []);
  return names
    .filter((name) => !name.startsWith(".") && !digests.has(`sha256:${name}`))
    .map((name) => `${REFERENCED}/${name}`);
}

/** File name of a kept reference; null for one that is not kept in `referenced`. */
export function referencedName(path: string | null): string | null {
  if (path === null || dirname(path) !== REFERENCED) return null;
  return /^[a-f0-9]{64}$/.test(basename(path)) ? basename(path) : null;
}

/** Every kept reference in a value of a record. */
export function referencesIn(value: unknown): Reference[] {
  if (typeof value !== "object" || value === null) return [];
  const parsed = Reference.safeParse(value);
  if (parsed.success) return referencedName(parsed.data.path) === null ? [] : [parsed.data];
  return Object.values(value).flatMap(referencesIn);
}

async function putInPlace(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    // the same bytes were kept before
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

async function* chunksOf(content: Uint8Array | AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (content instanceof Uint8Array) yield content;
  else yield* content;
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}

function tooLarge(maxBytes: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot keep file beside the evidence: it has more than ${String(maxBytes)} bytes`,
  });
}

function full(): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_UNWRITABLE",
    message: `Cannot keep file beside the evidence: less than ${String(limits.freeBytes)} bytes would be left on the disk`,
    hint: "Make space on the disk of the state folder",
  });
}
