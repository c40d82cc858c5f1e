import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openCheckpoint, signCheckpoint } from "../../packages/bridge/src/evidence/checkpoint.ts";
import type { EvidenceKey } from "../../packages/bridge/src/evidence/index.ts";
import { LogFiles } from "../../packages/bridge/src/evidence/log-files.ts";
import { leafHash, TreeEdge } from "../../packages/bridge/src/evidence/merkle.ts";
import { encodeEntries, tilePath } from "../../packages/bridge/src/evidence/tiles.ts";

/** All entries of an exported log. */
export async function readEntries(dir: string): Promise<Buffer[]> {
  const files = new LogFiles(dir);
  const { size } = openCheckpoint(await files.checkpoint());
  const entries: Buffer[] = [];
  for (let n = 0; n * 256 < size; n++)
    entries.push(...(await files.entries(n, Math.min(256, size - n * 256))));
  return entries;
}

/** Writes tiles and entries as an attacker would, all fitting; with a key also a checkpoint over them. */
export async function rebuild(
  dir: string,
  entries: readonly Buffer[],
  key: EvidenceKey | null,
): Promise<void> {
  const { origin } = openCheckpoint(await readFile(join(dir, "checkpoint"), "utf8"));
  await rm(join(dir, "tile"), { recursive: true });
  const edge = new TreeEdge();
  for (const entry of entries)
    for (const { level, n, hashes } of edge.add(leafHash(entry))) await put(dir, tilePath(level, n), hashes);
  for (const [level, hashes] of edge.levels().entries()) {
    if (hashes.length > 0)
      await put(dir, tilePath(level, Math.floor(edge.size / 256 ** (level + 1)), hashes.length / 32), hashes);
  }
  for (let n = 0; n * 256 < entries.length; n++) {
    const bundle = entries.slice(n * 256, (n + 1) * 256);
    await put(dir, tilePath("entries", n, bundle.length), encodeEntries(bundle));
  }
  if (key !== null)
    await put(
      dir,
      "checkpoint",
      Buffer.from(await signCheckpoint({ origin, size: edge.size, root: edge.root() }, key)),
    );
}

async function put(dir: string, path: string, bytes: Buffer): Promise<void> {
  await mkdir(join(dir, dirname(path)), { recursive: true });
  await writeFile(join(dir, path), bytes);
}
