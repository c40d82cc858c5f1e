import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { whyUnreadable } from "../state/index.ts";
import { isMissing } from "./key.ts";
import { HASH_BYTES, TILE_WIDTH } from "./merkle.ts";
import { readPublic } from "./read-public.ts";
import { decodeEntries, tilePath, type TileKind } from "./tiles.ts";

type ReadFile = (path: string) => Promise<Buffer>;

/** Reads the public files of a log (C2SP tlog-tiles layout) from a folder. */
export class LogFiles {
  readonly dir: string;
  readonly #readFile: ReadFile;

  /** `read` is another way to read a file: a thread that does nothing else need not wait for another. */
  constructor(dir: string, read: ReadFile = readPublic) {
    this.dir = dir;
    this.#readFile = read;
  }

  /** The newest signed checkpoint. */
  async checkpoint(): Promise<string> {
    return (await this.#read("checkpoint")).toString("utf8");
  }

  /** The first `width` hashes of a tile. */
  async hashes(level: number, n: number, width: number): Promise<Buffer> {
    const tile = await this.#tile(level, n, width);
    if (tile.bytes.length !== tile.width * HASH_BYTES)
      throw damaged(tile.path, `it does not hold ${String(tile.width)} hashes`);
    return tile.bytes.subarray(0, width * HASH_BYTES);
  }

  /** The first `width` entries of a bundle. */
  async entries(n: number, width: number): Promise<Buffer[]> {
    const tile = await this.#tile("entries", n, width);
    return decodeEntries(tile.bytes, tile.width).slice(0, width);
  }

  /** A partial tile may be gone once a wider one is there: then that one's front is the same. */
  async #tile(kind: TileKind, n: number, width: number) {
    for (const candidate of new Set([width, TILE_WIDTH])) {
      const path = tilePath(kind, n, candidate);
      const bytes = await this.#find(path);
      if (bytes !== null) return { path, width: candidate, bytes };
    }
    for (const candidate of await this.#partialWidths(kind, n)) {
      if (candidate <= width) continue;
      const path = tilePath(kind, n, candidate);
      const bytes = await this.#find(path);
      if (bytes !== null) return { path, width: candidate, bytes };
    }
    throw damaged(tilePath(kind, n, width), "there is no such file");
  }

  async #partialWidths(kind: TileKind, n: number): Promise<number[]> {
    const names = await readdir(join(this.dir, `${tilePath(kind, n)}.p`)).catch(() => []);
    return names.filter((name) => /^[1-9][0-9]{0,2}$/.test(name)).map(Number);
  }

  async #find(path: string): Promise<Buffer | null> {
    try {
      return await this.#readFile(join(this.dir, path));
    } catch (error) {
      if (isMissing(error)) return null;
      throw damaged(path, whyUnreadable(error), error);
    }
  }

  async #read(path: string): Promise<Buffer> {
    const bytes = await this.#find(path);
    if (bytes === null) throw damaged(path, "there is no such file");
    return bytes;
  }
}

function damaged(path: string, why: string, cause?: unknown): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_INVALID",
    message: `Cannot read evidence file "${path}": ${why}`,
    cause,
  });
}
