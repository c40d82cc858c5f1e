import { constants } from "node:fs";
import { open, readFile, truncate } from "node:fs/promises";
import { isMissing } from "./key.ts";
import { sha256 } from "./merkle.ts";

const ROW_BYTES = 512;

/**
 * What listings use to skip entry bundles: one Bloom filter of 512 bytes for each full bundle, over the words its
 * records can be found by. 1,000,000 records need 2 MB. It is only a cache: rows that are missing are made again.
 */
export class BundleIndex {
  readonly #path: string;
  readonly #rows: Buffer[];
  #saved: number;

  private constructor(path: string, rows: Buffer[]) {
    this.#path = path;
    this.#rows = rows;
    this.#saved = rows.length;
  }

  /** Reads the rows of the first `bundles` bundles; those behind the first damaged one are dropped. */
  static async open(path: string, bundles: number): Promise<BundleIndex> {
    const bytes = await readFile(path).catch((error: unknown) => {
      if (isMissing(error)) return Buffer.alloc(0);
      throw error;
    });
    const rows: Buffer[] = [];
    for (let at = 0; at + ROW_BYTES <= bytes.length && rows.length < bundles; at += ROW_BYTES) {
      const row = bytes.subarray(at, at + ROW_BYTES);
      if (row.every((byte) => byte === 0)) break;
      rows.push(row);
    }
    if (rows.length * ROW_BYTES < bytes.length) await truncate(path, rows.length * ROW_BYTES);
    return new BundleIndex(path, rows);
  }

  /** Bundles that have a row. */
  get length(): number {
    return this.#rows.length;
  }

  /** Adds the row of the next bundle. */
  add(words: Iterable<string>): void {
    const row = Buffer.alloc(ROW_BYTES);
    for (const word of words)
      for (const bit of bitsOf(word)) row[bit >> 3] = (row[bit >> 3] ?? 0) | (1 << (bit & 7));
    this.#rows.push(row);
  }

  /** Whether a bundle may hold a record with all of these words; true for one without a row. */
  mayHold(bundle: number, words: readonly string[]): boolean {
    const row = this.#rows[bundle];
    if (row === undefined) return true;
    return words.every((word) =>
      bitsOf(word).every((bit) => ((row[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0),
    );
  }

  /** Appends new rows to the file; `sync` makes them durable. */
  async save(sync: boolean): Promise<void> {
    const rows = this.#rows.slice(this.#saved);
    if (rows.length === 0 && !sync) return;
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      await file.write(Buffer.concat(rows), 0, rows.length * ROW_BYTES, this.#saved * ROW_BYTES);
      if (sync) await file.datasync();
      this.#saved += rows.length;
    } finally {
      await file.close();
    }
  }
}

function bitsOf(word: string): number[] {
  const digest = sha256(Buffer.from(word));
  return [0, 2, 4].map((at) => digest.readUInt16BE(at) % (ROW_BYTES * 8));
}
