import { DoorwardError } from "@doorward/contracts";
import { openCheckpoint } from "./checkpoint.ts";
import type { LogFiles } from "./log-files.ts";
import { HASH_BYTES, leafHash, nodeHash, rootOf, splitPoint, TILE_WIDTH } from "./merkle.ts";

/** That one record is in the tree of a checkpoint (RFC 6962, section 2.1.1). */
export interface InclusionProof {
  readonly index: number;
  readonly size: number;
  /** Hashes as base64. */
  readonly leafHash: string;
  readonly hashes: readonly string[];
  readonly checkpoint: string;
}

/** That the tree of `size` leaves begins with the tree of `from` leaves (RFC 6962, section 2.1.2). */
export interface ConsistencyProof {
  readonly from: number;
  readonly size: number;
  readonly hashes: readonly string[];
  readonly checkpoint: string;
}

/** Proves that a record is in the log's newest checkpoint. */
export async function proveInclusion(files: LogFiles, index: number): Promise<InclusionProof> {
  const { checkpoint, size } = await newest(files);
  if (!Number.isSafeInteger(index) || index < 0 || index >= size)
    throw outside(`record ${String(index)}`, size);
  const tree = new StoredTree(files, size);
  const hashes = await tree.path(index, 0, size);
  const [leaf] = await tree.leaves(index);
  return {
    index,
    size,
    leafHash: base64(leafHash(leaf ?? Buffer.alloc(0))),
    hashes: hashes.map(base64),
    checkpoint,
  };
}

/** Proves that the log's newest checkpoint extends an older tree of `from` records. */
export async function proveConsistency(files: LogFiles, from: number): Promise<ConsistencyProof> {
  const { checkpoint, size } = await newest(files);
  if (!Number.isSafeInteger(from) || from < 1 || from > size)
    throw outside(`a tree of ${String(from)} records`, size);
  const hashes = await new StoredTree(files, size).subProof(from, 0, size, true);
  return { from, size, hashes: hashes.map(base64), checkpoint };
}

/** Hashes that prove that a log's tree of `size` leaves begins with its tree of `from` leaves; none for the empty tree. */
export async function consistencyHashes(files: LogFiles, from: number, size: number): Promise<Buffer[]> {
  return from === 0 ? [] : new StoredTree(files, size).subProof(from, 0, size, true);
}

/** An inclusion proof as C2SP tlog-proof text, with everything a verifier needs but the log's key. */
export function tlogProof({ index, hashes, checkpoint }: InclusionProof): string {
  return ["c2sp.org/tlog-proof@v1", `index ${String(index)}`, ...hashes, "", checkpoint].join("\n");
}

/** Root that an inclusion proof leads to; the caller compares it with a checkpoint it trusts. */
export function rootOfInclusion(
  leaf: Buffer,
  index: number,
  size: number,
  hashes: readonly Buffer[],
): Buffer | null {
  if (index >= size) return null;
  let [node, last, root, used] = [index, size - 1, leaf, 0];
  for (; last > 0; node = Math.floor(node / 2), last = Math.floor(last / 2)) {
    if (node % 2 === 0 && node === last) continue;
    const sibling = hashes[used++];
    if (sibling === undefined) return null;
    root = node % 2 === 1 ? nodeHash(sibling, root) : nodeHash(root, sibling);
  }
  return used === hashes.length ? root : null;
}

/** A tree read from tiles. */
class StoredTree {
  readonly #files: LogFiles;
  readonly #size: number;
  readonly #tiles = new Map<string, Promise<Buffer>>();

  constructor(files: LogFiles, size: number) {
    this.#files = files;
    this.#size = size;
  }

  async leaves(index: number): Promise<Buffer[]> {
    const n = Math.floor(index / TILE_WIDTH);
    const entries = await this.#files.entries(n, Math.min(TILE_WIDTH, this.#size - n * TILE_WIDTH));
    return entries.slice(index % TILE_WIDTH, (index % TILE_WIDTH) + 1);
  }

  /** PATH(m, D[lo:hi]) of RFC 6962, with m as index into the whole tree. */
  async path(index: number, lo: number, hi: number): Promise<Buffer[]> {
    if (hi - lo === 1) return [];
    const middle = lo + splitPoint(hi - lo);
    return index < middle
      ? [...(await this.path(index, lo, middle)), await this.#range(middle, hi)]
      : [...(await this.path(index, middle, hi)), await this.#range(lo, middle)];
  }

  /** SUBPROOF(m, D[lo:hi], whole) of RFC 6962, with m as size counted from the whole tree's start. */
  async subProof(m: number, lo: number, hi: number, whole: boolean): Promise<Buffer[]> {
    if (m === hi) return whole ? [] : [await this.#range(lo, hi)];
    const middle = lo + splitPoint(hi - lo);
    return m <= middle
      ? [...(await this.subProof(m, lo, middle, whole)), await this.#range(middle, hi)]
      : [...(await this.subProof(m, middle, hi, false)), await this.#range(lo, middle)];
  }

  /** Hash over the leaves lo to hi. */
  async #range(lo: number, hi: number): Promise<Buffer> {
    const width = hi - lo;
    const level = Math.log2(width);
    if (Number.isInteger(level)) return this.#complete(level, lo / width);
    const middle = lo + splitPoint(width);
    return nodeHash(await this.#range(lo, middle), await this.#range(middle, hi));
  }

  /** Hash of a complete subtree: node `n` of a level of the binary tree. */
  async #complete(level: number, n: number): Promise<Buffer> {
    const tileLevel = Math.floor(level / 8);
    const count = 2 ** (level % 8);
    const first = n * count;
    const tile = await this.#tile(tileLevel, Math.floor(first / TILE_WIDTH));
    const at = (first % TILE_WIDTH) * HASH_BYTES;
    return rootOf(tile.subarray(at, at + count * HASH_BYTES));
  }

  #tile(level: number, n: number): Promise<Buffer> {
    const name = `${String(level)}/${String(n)}`;
    const width = Math.min(TILE_WIDTH, Math.floor(this.#size / TILE_WIDTH ** level) - n * TILE_WIDTH);
    const tile = this.#tiles.get(name) ?? this.#files.hashes(level, n, width);
    this.#tiles.set(name, tile);
    return tile;
  }
}

async function newest(files: LogFiles) {
  const checkpoint = await files.checkpoint();
  return { checkpoint, size: openCheckpoint(checkpoint).size };
}

function base64(hash: Buffer): string {
  return hash.toString("base64");
}

function outside(what: string, size: number): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_NOT_FOUND",
    message: `Cannot prove ${what}: the checkpoint covers ${String(size)} records`,
  });
}
