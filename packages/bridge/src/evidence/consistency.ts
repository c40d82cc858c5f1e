import { nodeHash } from "./merkle.ts";

/** A tree by its size and root. */
export interface TreeHead {
  readonly size: number;
  readonly root: Buffer;
}

/** Whether a proof (RFC 6962, section 2.1.2) shows that the newer tree begins with the older one. */
export function isConsistent(older: TreeHead, newer: TreeHead, hashes: readonly Buffer[]): boolean {
  if (older.size > newer.size) return false;
  if (older.size === newer.size) return hashes.length === 0 && older.root.equals(newer.root);
  if (older.size === 0) return hashes.length === 0;
  const roots = rebuild(older, newer.size, hashes);
  return roots !== null && roots.older.equals(older.root) && roots.newer.equals(newer.root);
}

/** Both roots as the proof leads to them (RFC 9162, section 2.1.4.2); null when it has too few or too many hashes. */
function rebuild(
  { size, root }: TreeHead,
  newerSize: number,
  hashes: readonly Buffer[],
): { older: Buffer; newer: Buffer } | null {
  // a complete older tree is a node of the newer one, and the proof leaves it out
  const path = Number.isInteger(Math.log2(size)) ? [root, ...hashes] : hashes;
  let [node, last] = [size - 1, newerSize - 1];
  while (node % 2 === 1) [node, last] = [half(node), half(last)];
  const [first, ...rest] = path;
  if (first === undefined) return null;
  let [older, newer] = [first, first];
  for (const hash of rest) {
    if (last === 0) return null;
    if (node % 2 === 1 || node === last) {
      [older, newer] = [nodeHash(hash, older), nodeHash(hash, newer)];
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)];
    } else newer = nodeHash(newer, hash);
    [node, last] = [half(node), half(last)];
  }
  return last === 0 ? { older, newer } : null;
}

function half(n: number): number {
  return Math.floor(n / 2);
}
