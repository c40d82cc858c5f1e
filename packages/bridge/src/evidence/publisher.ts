import { readdir, rmdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolder, replaceFile, syncFolder, syncPath } from "./files.ts";
import { TILE_WIDTH } from "./merkle.ts";
import { encodeEntries, tilePath } from "./tiles.ts";

/** A file of the public layout that never changes once it is written. */
export interface FinishedTile {
  readonly path: string;
  readonly bytes: Buffer;
}

/** The unfinished right side of the log at one size, and the checkpoint over it. */
export interface Frontier {
  readonly size: number;
  /** Unfinished hash tiles, lowest level first. */
  readonly levels: readonly Buffer[];
  /** Entries of the unfinished bundle. */
  readonly entries: readonly Buffer[];
  readonly checkpoint: string;
  /** Verifier key line of the checkpoint's key. */
  readonly vkey: string;
}

/**
 * Writes the public C2SP tlog-tiles layout behind the journal: finished tiles, then partial ones, then the checkpoint,
 * so that what a checkpoint covers is always there. Nothing here is needed for durability.
 */
export class Publisher {
  readonly #dir: string;
  readonly #folders = new Set<string>();
  readonly #unsynced = new Set<string>();
  #first = true;
  #vkey: string | undefined;
  #partials: string[] = [];
  #olderPartials: string[] = [];

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Writes finished tiles. */
  async finish(tiles: readonly FinishedTile[]): Promise<void> {
    for (const { path, bytes } of tiles) {
      await this.#write(path, bytes);
      this.#unsynced.add(path);
    }
  }

  /** Writes partial tiles and the checkpoint, then drops the partial tiles of the publication before the last. */
  async publish({ size, levels, entries, checkpoint, vkey }: Frontier): Promise<void> {
    const partials: FinishedTile[] = levels.flatMap((bytes, level) => {
      const width = bytes.length / 32;
      return width === 0
        ? []
        : [{ path: tilePath(level, Math.floor(size / TILE_WIDTH ** (level + 1)), width), bytes }];
    });
    if (entries.length > 0) {
      const path = tilePath("entries", Math.floor(size / TILE_WIDTH), entries.length);
      partials.push({ path, bytes: encodeEntries(entries) });
    }
    if (this.#first) await this.#adoptPartials(partials);
    const known = new Set(this.#partials);
    for (const { path, bytes } of partials) if (!known.has(path)) await this.#write(path, bytes);
    await replaceFile(join(this.#dir, "checkpoint"), Buffer.from(checkpoint), { sync: true });
    // after it: who reads the key and then the checkpoint has a log that leads from this key to its newer one
    if (vkey !== this.#vkey) await this.#write("key.vkey", Buffer.from(`${vkey}\n`));
    this.#vkey = vkey;
    await this.#turn(partials.map(({ path }) => path));
  }

  /** Makes every finished tile durable, with the names that lead to it. */
  async settle(): Promise<void> {
    const paths = [...this.#unsynced];
    const folders = new Set<string>();
    for (const path of paths)
      for (let folder = dirname(path); folder !== "."; folder = dirname(folder)) folders.add(folder);
    await Promise.all(paths.map((path) => syncPath(join(this.#dir, path))));
    await Promise.all([...folders, "."].map((folder) => syncFolder(join(this.#dir, folder))));
    for (const path of paths) this.#unsynced.delete(path);
  }

  async #turn(now: string[]): Promise<void> {
    const keep = new Set([...now, ...this.#partials]);
    const stale = this.#olderPartials.filter((path) => !keep.has(path));
    this.#olderPartials = this.#partials;
    this.#partials = now;
    await Promise.all(stale.map((path) => this.#drop(path)));
  }

  /** Partial tiles that an earlier run left beside those of now are dropped like our own. */
  async #adoptPartials(now: readonly FinishedTile[]): Promise<void> {
    this.#first = false;
    for (const folder of new Set(now.map(({ path }) => dirname(path)))) {
      const names = await readdir(join(this.#dir, folder)).catch(() => []);
      const paths = names
        .map((name) => `${folder}/${name}`)
        .filter((path) => now.every((tile) => tile.path !== path));
      this.#olderPartials.push(...paths);
    }
  }

  async #drop(path: string): Promise<void> {
    await unlink(join(this.#dir, path)).catch(() => undefined);
    const folder = dirname(path);
    const emptied = await rmdir(join(this.#dir, folder)).then(
      () => true,
      () => false,
    );
    if (emptied) this.#folders.delete(folder);
  }

  async #write(path: string, bytes: Buffer): Promise<void> {
    const folder = dirname(path);
    if (!this.#folders.has(folder)) {
      await makeFolder(join(this.#dir, folder));
      this.#folders.add(folder);
    }
    await replaceFile(join(this.#dir, path), bytes);
  }
}
