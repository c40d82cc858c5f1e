import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { openCheckpoint } from "./checkpoint.ts";
import { AUDITOR_README } from "./export-readme.ts";
import { makeFolder, replaceFile, syncFolder } from "./files.ts";
import { isMissing } from "./key.ts";
import { LogFiles } from "./log-files.ts";
import { TILE_WIDTH } from "./merkle.ts";
import { parseVkey } from "./signed-note.ts";
import { encodeEntries, tilePath } from "./tiles.ts";

/** What to export, and where to. */
export interface ExportOptions {
  /** Folder of the log; a running bridge may go on appending. */
  readonly dir: string;
  /** Folder that is empty or not there yet. */
  readonly out: string;
  readonly signal?: AbortSignal | undefined;
}

/** What was exported. */
export interface Exported {
  readonly out: string;
  readonly size: number;
  readonly origin: string;
  readonly vkey: string;
}

/** Writes a self-contained bundle for an auditor: checkpoint, tiles, entries, public key and a README. */
export async function exportEvidence({ dir, out, signal }: ExportOptions): Promise<Exported> {
  await claimEmpty(out);
  const files = new LogFiles(dir);
  const text = await files.checkpoint();
  const { origin, size } = openCheckpoint(text);
  for await (const { path, bytes } of publicFiles(files, size)) {
    signal?.throwIfAborted();
    await write(out, path, bytes);
  }
  const vkey = (await readFile(join(dir, "key.vkey"), "utf8")).trim();
  await write(out, "key.vkey", Buffer.from(`${vkey}\n`));
  await write(out, "key.pem", Buffer.from(parseVkey(vkey).publicKey.export({ format: "pem", type: "spki" })));
  await write(out, "README.md", Buffer.from(AUDITOR_README));
  // last, so that an export that was cut short is not taken for a whole one
  await write(out, "checkpoint", Buffer.from(text));
  await syncFolder(out);
  return { out, size, origin, vkey };
}

async function* publicFiles(files: LogFiles, size: number) {
  for (let n = 0; n * TILE_WIDTH < size; n++) {
    const width = Math.min(TILE_WIDTH, size - n * TILE_WIDTH);
    yield { path: tilePath("entries", n, width), bytes: encodeEntries(await files.entries(n, width)) };
  }
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
    for (let n = 0; n * TILE_WIDTH < count; n++) {
      const width = Math.min(TILE_WIDTH, count - n * TILE_WIDTH);
      yield { path: tilePath(level, n, width), bytes: await files.hashes(level, n, width) };
    }
  }
}

async function claimEmpty(out: string): Promise<void> {
  const names = await readdir(out).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot export evidence: "${out}" is not a folder`,
      cause: error,
    });
  });
  if (names.length > 0) {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot export evidence: folder "${out}" is not empty`,
    });
  }
  await makeFolder(out);
}

async function write(out: string, path: string, bytes: Buffer): Promise<void> {
  await makeFolder(join(out, dirname(path)));
  await replaceFile(join(out, path), bytes);
}
