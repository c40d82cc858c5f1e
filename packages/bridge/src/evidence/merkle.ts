import { hash } from "node:crypto";

/** Length of a SHA-256 hash. */
export const HASH_BYTES = 32;

/** Hashes in a full tile, and entries in a full bundle. */
export const TILE_WIDTH = 256;

/** Root of the empty tree (RFC 6962, section 2.1). */
export const EMPTY_ROOT: Buffer = sha256(Buffer.alloc(0));

/** SHA-256 of some bytes. */
export function sha256(bytes: Uint8Array): Buffer {
  return hash("sha256", bytes, "buffer");
}

// hashing copies its input at once, so these are free again when it returns
const leafInput = Buffer.alloc(1 + 65_536);
const nodeInput = Buffer.alloc(1 + 2 * HASH_BYTES, 1);

/** Hash of a leaf: SHA-256 over 0x00 and its bytes, of which there are at most 65,536. */
export function leafHash(leaf: Uint8Array): Buffer {
  leafInput.set(leaf, 1);
  return sha256(leafInput.subarray(0, 1 + leaf.length));
}

/** Hash of an inner node: SHA-256 over 0x01 and both children. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

/** Largest power of two below n, for n > 1. */
export function splitPoint(n: number): number {
  let split = 1;
  while (split * 2 < n) split *= 2;
  return split;
}

/** Root over the hashes of neighbouring nodes of one level, given as one buffer of 32-byte hashes. */
export function rootOf(hashes: Uint8Array): Buffer {
  const count = hashes.length / HASH_BYTES;
  if (count === 0) return EMPTY_ROOT;
  if (count === 1) return Buffer.from(hashes);
  const split = splitPoint(count) * HASH_BYTES;
  return nodeHash(rootOf(hashes.subarray(0, split)), rootOf(hashes.subarray(split)));
}

/** A full tile of hashes that a growing tree left behind. */
export interface FullTile {
  readonly level: number;
  readonly n: number;
  readonly hashes: Buffer;
}

/** The right edge of a Merkle tree: for each tile level the hashes of its unfinished tile. Grows one leaf at a time. */
export class TreeEdge {
  #size: number;
  readonly #levels: Buffer[][];

  /** The edge of a tree of `size` leaves; `levels` are the unfinished tiles, lowest first, as {@link levels} gives them. */
  constructor(size = 0, levels: readonly Uint8Array[] = []) {
    this.#size = size;
    this.#levels = levels.map((tile) => splitHashes(tile));
    checkWidths(size, this.#levels);
  }

  get size(): number {
    return this.#size;
  }

  /** Unfinished tiles, lowest level first; an empty buffer where a level has none. */
  levels(): Buffer[] {
    return this.#levels.map((hashes) => Buffer.concat(hashes));
  }

  /** Adds a leaf by its hash and returns the tiles that it filled, lowest first. */
  add(leaf: Buffer): FullTile[] {
    return this.#push(leaf, 0);
  }

  /** Adds 256 leaves at once by the root over them, where the size is a multiple of 256; as {@link add}. */
  addBundle(root: Buffer): FullTile[] {
    if (this.#size % TILE_WIDTH !== 0) throw new RangeError("Cannot add a bundle: the tree ends inside one");
    if (this.#levels.length === 0) this.#levels.push([]);
    return this.#push(root, 1);
  }

  #push(added: Buffer, from: number): FullTile[] {
    const full: FullTile[] = [];
    let hash = added;
    for (let level = from; ; level++) {
      const tile = (this.#levels[level] ??= []);
      tile.push(hash);
      if (tile.length < TILE_WIDTH) break;
      const hashes = Buffer.concat(tile);
      full.push({ level, n: Math.floor(this.#size / TILE_WIDTH ** (level + 1)), hashes });
      tile.length = 0;
      hash = rootOf(hashes);
    }
    this.#size += TILE_WIDTH ** from;
    return full;
  }

  /** Root of the tree as it is now. */
  root(): Buffer {
    let root: Buffer | null = null;
    for (const tile of this.#levels) {
      for (const subtree of completeSubtrees(tile)) root = root === null ? subtree : nodeHash(subtree, root);
    }
    return root ?? EMPTY_ROOT;
  }
}

/** Roots of the complete subtrees that an unfinished tile decomposes into, rightmost (smallest) first. */
function completeSubtrees(tile: readonly Buffer[]): Buffer[] {
  const roots: Buffer[] = [];
  let end = tile.length;
  for (let width = 1; end > 0; width *= 2) {
    if ((end & width) === 0) continue;
    roots.push(rootOf(Buffer.concat(tile.slice(end - width, end))));
    end -= width;
  }
  return roots;
}

function splitHashes(tile: Uint8Array): Buffer[] {
  const hashes: Buffer[] = [];
  for (let at = 0; at < tile.length; at += HASH_BYTES)
    hashes.push(Buffer.from(tile.subarray(at, at + HASH_BYTES)));
  return hashes;
}

function checkWidths(size: number, levels: readonly (readonly Buffer[])[]): void {
  const fits = levels.every(
    (tile, level) => tile.length === Math.floor(size / TILE_WIDTH ** level) % TILE_WIDTH,
  );
  if (fits && size < TILE_WIDTH ** levels.length) return;
  throw new RangeError(`Cannot restore tree edge: its widths do not fit ${String(size)} leaves`);
}
