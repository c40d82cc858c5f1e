import * as z from "zod";
import { DoorwardError } from "@doorward/contracts";
import { sha256 } from "./merkle.ts";
import { decodeEntries, encodeEntries } from "./tiles.ts";

const headMagic = Buffer.from("doorward-journal\n");
const groupMagic = Buffer.from([0x44, 0x57, 0x47, 0x01]);
const digestBytes = 32;

/** Bytes in front of a group's entries: magic, length of the entries, their number, index of the first, SHA-256 of all that and them. */
export const GROUP_HEAD_BYTES = 4 + 4 + 4 + 8 + digestBytes;

const JournalHead = z.strictObject({
  version: z.literal(1),
  origin: z.string().min(1),
  base: z.int().min(0),
  edge: z.array(z.base64()),
});

/** What a journal starts with: whose log, the index of its first record, and the tree's right edge in front of that. */
export interface JournalStart {
  readonly origin: string;
  readonly base: number;
  readonly edge: readonly Buffer[];
}

/** A journal as read from disk. */
export interface JournalContent extends JournalStart {
  readonly entries: readonly Buffer[];
  /** Where the next group goes. */
  readonly end: number;
  /** Length of the torn group behind `end`, which nobody was told of; 0 when there is none. */
  readonly torn: number;
}

/** The first bytes of a journal. */
export function encodeHead({ origin, base, edge }: JournalStart): Buffer {
  const json = Buffer.from(
    JSON.stringify({ version: 1, origin, base, edge: edge.map((tile) => tile.toString("base64")) }),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  const head = Buffer.concat([headMagic, length, json]);
  return Buffer.concat([head, sha256(head)]);
}

/** A group of records as it is written and made durable at once. */
export function encodeGroup(firstIndex: number, entries: readonly Buffer[]): Buffer {
  const body = encodeEntries(entries);
  const head = Buffer.alloc(GROUP_HEAD_BYTES - digestBytes);
  groupMagic.copy(head);
  head.writeUInt32BE(body.length, 4);
  head.writeUInt32BE(entries.length, 8);
  head.writeBigUInt64BE(BigInt(firstIndex), 12);
  return Buffer.concat([head, sha256(Buffer.concat([head, body])), body]);
}

/**
 * Reads a journal. A damaged group at the end was being written when the bridge or the host died, so nobody was told
 * of it; a damaged group with a whole one behind it is a damaged file and refused with EVIDENCE_INVALID.
 */
export function decodeJournal(bytes: Buffer): JournalContent {
  const { start, end: headEnd } = decodeHead(bytes);
  const entries: Buffer[] = [];
  let at = headEnd;
  for (;;) {
    const group = decodeGroup(bytes, at, start.base + entries.length);
    if (group === null) break;
    entries.push(...group.entries);
    at = group.end;
  }
  if (hasLaterGroup(bytes, at, start.base + entries.length)) {
    throw invalid(`the group at byte ${String(at)} is damaged, and records follow it`);
  }
  return { ...start, entries, end: at, torn: lastNonZero(bytes) < at ? 0 : lastNonZero(bytes) + 1 - at };
}

function decodeHead(bytes: Buffer): { readonly start: JournalStart; readonly end: number } {
  const jsonAt = headMagic.length + 4;
  if (bytes.length < jsonAt || !bytes.subarray(0, headMagic.length).equals(headMagic))
    throw invalid("it is not a journal");
  const jsonEnd = jsonAt + bytes.readUInt32BE(headMagic.length);
  const end = jsonEnd + digestBytes;
  if (end > bytes.length || !sha256(bytes.subarray(0, jsonEnd)).equals(bytes.subarray(jsonEnd, end)))
    throw invalid("its head is damaged");
  const head = JournalHead.safeParse(JSON.parse(bytes.toString("utf8", jsonAt, jsonEnd)));
  if (!head.success) throw invalid("its head has another shape or version");
  const { origin, base, edge } = head.data;
  return { start: { origin, base, edge: edge.map((tile) => Buffer.from(tile, "base64")) }, end };
}

function decodeGroup(
  bytes: Buffer,
  at: number,
  firstIndex: number,
): { readonly entries: Buffer[]; readonly end: number } | null {
  const bodyAt = at + GROUP_HEAD_BYTES;
  if (bodyAt > bytes.length || !bytes.subarray(at, at + 4).equals(groupMagic)) return null;
  const end = bodyAt + bytes.readUInt32BE(at + 4);
  if (end > bytes.length || bytes.readBigUInt64BE(at + 12) !== BigInt(firstIndex)) return null;
  const body = bytes.subarray(bodyAt, end);
  const digestAt = bodyAt - digestBytes;
  if (!sha256(Buffer.concat([bytes.subarray(at, digestAt), body])).equals(bytes.subarray(digestAt, bodyAt)))
    return null;
  return { entries: decodeEntries(body, bytes.readUInt32BE(at + 8)), end };
}

function hasLaterGroup(bytes: Buffer, from: number, expected: number): boolean {
  for (let at = bytes.indexOf(groupMagic, from); at >= 0; at = bytes.indexOf(groupMagic, at + 1)) {
    if (at + GROUP_HEAD_BYTES > bytes.length) return false;
    const index = bytes.readBigUInt64BE(at + 12);
    if (index < BigInt(expected) || index > BigInt(Number.MAX_SAFE_INTEGER)) continue;
    if (decodeGroup(bytes, at, Number(index)) !== null) return true;
  }
  return false;
}

function lastNonZero(bytes: Buffer): number {
  let at = bytes.length - 1;
  while (at >= 0 && bytes[at] === 0) at--;
  return at;
}

function invalid(why: string): DoorwardError {
  return new DoorwardError({ code: "EVIDENCE_INVALID", message: `Cannot open evidence journal: ${why}` });
}
