import { DoorwardError } from "@doorward/contracts";
import { TILE_WIDTH } from "./merkle.ts";

/** Longest entry that a bundle's 16-bit length prefix can hold. */
export const MAX_ENTRY_BYTES = 65_535;

/** What a tile holds: hashes of one tile level (0 is the lowest), or entries. */
export type TileKind = number | "entries";

/** Path of a tile in the C2SP tlog-tiles layout; a width below 256 names a partial tile. */
export function tilePath(kind: TileKind, n: number, width = TILE_WIDTH): string {
  const partial = width === TILE_WIDTH ? "" : `.p/${String(width)}`;
  return `tile/${String(kind)}/${tileNumber(n)}${partial}`;
}

/** 1234067 as x001/x234/067. */
function tileNumber(n: number): string {
  const digits = String(n);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/[0-9]{3}/g) ?? [];
  return groups.map((group, at) => (at === groups.length - 1 ? group : `x${group}`)).join("/");
}

/** An entry bundle: each entry behind its length as 16-bit big-endian number. */
export function encodeEntries(entries: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    const length = Buffer.allocUnsafe(2);
    length.writeUInt16BE(entry.length);
    parts.push(length, entry);
  }
  return Buffer.concat(parts);
}

/** The entries of a bundle; refuses a cut or padded one. */
export function decodeEntries(bundle: Buffer, count: number): Buffer[] {
  const entries: Buffer[] = [];
  let at = 0;
  while (entries.length < count && at + 2 <= bundle.length) {
    const end = at + 2 + bundle.readUInt16BE(at);
    if (end > bundle.length) break;
    entries.push(bundle.subarray(at + 2, end));
    at = end;
  }
  if (entries.length === count && at === bundle.length) return entries;
  throw new DoorwardError({
    code: "EVIDENCE_INVALID",
    message: `Cannot read entry bundle: it does not hold exactly ${String(count)} entries`,
  });
}
