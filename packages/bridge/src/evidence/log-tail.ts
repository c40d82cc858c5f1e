import type { BundleIndex } from "./bundle-index.ts";
import { TILE_WIDTH, type TreeEdge } from "./merkle.ts";
import type { FinishedTile, Frontier } from "./publisher.ts";
import { encodeEntries, tilePath } from "./tiles.ts";

/** The right side of the log in memory: the tree's edge, the unfinished bundle, and what the publisher has not written yet. */
export class LogTail {
  readonly index: BundleIndex;
  readonly #edge: TreeEdge;
  #entries: Buffer[] = [];
  #words = new Set<string>();
  #finished: FinishedTile[] = [];
  readonly #waiting = new Map<number, readonly Buffer[]>();

  constructor(edge: TreeEdge, index: BundleIndex) {
    this.#edge = edge;
    this.index = index;
  }

  /** Number of leaves. */
  get size(): number {
    return this.#edge.size;
  }

  /** Entries of the unfinished bundle. */
  get openEntries(): readonly Buffer[] {
    return this.#entries;
  }

  /** Finished tiles that wait for the publisher. */
  get finished(): readonly FinishedTile[] {
    return [...this.#finished];
  }

  /** Adds a durable leaf. */
  add(leaf: Buffer, hash: Buffer, words: readonly string[]): void {
    const bundle = Math.floor(this.size / TILE_WIDTH);
    this.#entries.push(leaf);
    for (const word of words) this.#words.add(word);
    const full = this.#edge.add(hash);
    for (const { level, n, hashes } of full) this.#finished.push({ path: tilePath(level, n), bytes: hashes });
    if (full.length > 0) this.#closeBundle(bundle);
  }

  /** Root of the tree. */
  root(): Buffer {
    return this.#edge.root();
  }

  /** What the publisher writes as the unfinished right side, without the checkpoint and its key. */
  frontier(): Omit<Frontier, "checkpoint" | "vkey"> {
    return { size: this.size, levels: this.#edge.levels(), entries: [...this.#entries] };
  }

  /** The tree's edge in front of the unfinished bundle. */
  edgeAtBundle(): Buffer[] {
    return this.#edge.levels().map((tile, level) => (level === 0 ? Buffer.alloc(0) : tile));
  }

  /** Forgets finished tiles that are on disk now. */
  written(tiles: readonly FinishedTile[]): void {
    const done = new Set(tiles);
    this.#finished = this.#finished.filter((tile) => !done.has(tile));
    const waiting = new Set(this.#finished.map(({ path }) => path));
    for (const n of this.#waiting.keys()) if (!waiting.has(tilePath("entries", n))) this.#waiting.delete(n);
  }

  /** Entries of a bundle that is not on disk yet; null when it is. */
  bundle(n: number): readonly Buffer[] | null {
    if (n === Math.floor(this.size / TILE_WIDTH)) return this.#entries;
    return this.#waiting.get(n) ?? null;
  }

  #closeBundle(n: number): void {
    this.#finished.push({ path: tilePath("entries", n), bytes: encodeEntries(this.#entries) });
    this.#waiting.set(n, this.#entries);
    // a bundle that is replayed from the journal may have its row already
    if (this.index.length === n) this.index.add(this.#words);
    this.#entries = [];
    this.#words = new Set();
  }
}
