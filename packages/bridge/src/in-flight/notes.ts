import { EVIDENCE_PREDICATES } from "@doorward/contracts";
import * as z from "zod";

/** What every note says of how it ended: nobody knows. */
const unknown = { outcome: z.literal("bridge-lost"), beganAt: z.iso.datetime({ offset: false }) };
const filledIn = { recordId: true, at: true } as const;

/** The record that something gets whose bridge is lost before its end: digests and names, never contents. */
export const LostRecord = z.discriminatedUnion("type", [
  EVIDENCE_PREDICATES.command.omit(filledIn).extend({ type: z.literal("command"), ...unknown }),
  EVIDENCE_PREDICATES.forward.omit(filledIn).extend({ type: z.literal("forward"), ...unknown }),
  EVIDENCE_PREDICATES["tool-call"].omit(filledIn).extend({ type: z.literal("tool-call"), ...unknown }),
  EVIDENCE_PREDICATES["session-close"]
    .omit(filledIn)
    .extend({ type: z.literal("session-close"), reason: z.literal("BRIDGE_LOST") }),
  EVIDENCE_PREDICATES["grant-revoked"]
    .omit(filledIn)
    .extend({ type: z.literal("grant-revoked"), cause: z.literal("connection-end") }),
]);
export type LostRecord = z.infer<typeof LostRecord>;

/** Numbers of notes go up, over restarts too, for as long as the file has one. */
const Number48 = z
  .int()
  .min(0)
  .max(2 ** 48);

const Line = z.union([
  z.strictObject({ begun: Number48, record: LostRecord }),
  z.strictObject({ placed: z.array(z.tuple([Number48, z.string().max(60)])).max(1000) }),
  z.strictObject({ forgotten: Number48 }),
]);

/** A line of the journal. */
export type NoteLine = z.infer<typeof Line>;

/** Something that a bridge noted and did not end. */
export interface LeftNote {
  readonly note: number;
  readonly record: LostRecord;
  /** Ids of the records that were about to be written of it. */
  readonly recordIds: readonly string[];
}

/** What a journal holds. */
export interface LeftNotes {
  readonly notes: readonly LeftNote[];
  /** Above every number that the journal names. */
  readonly next: number;
  /** Lines that are no notes: one that was being written when the bridge died, and whatever else lies there. */
  readonly unreadable: number;
}

/** Ids that are kept of one note: of its session's opening, of its record, and of attempts that failed. */
const MOST_IDS = 8;

/** The longest line that is looked at: a record fits a leaf of the log. */
const MAX_LINE = 65_536;

/** A line as it is written: its break in front, so that one that was cut short spoils no other. */
export function encodeLine(line: NoteLine): string {
  return `\n${JSON.stringify(line)}`;
}

/** Reads the text of a journal; whatever is no line of one is counted, and takes nothing else with it. */
export function decodeNotes(text: string, most: number): LeftNotes {
  const left = new Map<number, LeftNote>();
  let [next, unreadable] = [0, 0];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const parsed = parseLine(line);
    if (parsed === null || (left.size >= most && "begun" in parsed)) unreadable += 1;
    else next = Math.max(next, apply(left, parsed));
  }
  return { notes: [...left.values()], next, unreadable };
}

/** Answers the number above those of the line. */
function apply(left: Map<number, LeftNote>, line: NoteLine): number {
  if ("begun" in line) {
    const recordIds = left.get(line.begun)?.recordIds ?? [];
    left.set(line.begun, { note: line.begun, record: line.record, recordIds });
    return line.begun + 1;
  }
  if ("forgotten" in line) {
    left.delete(line.forgotten);
    return line.forgotten + 1;
  }
  for (const [note, recordId] of line.placed) {
    const found = left.get(note);
    if (found === undefined) continue;
    left.set(note, { ...found, recordIds: [...found.recordIds, recordId].slice(-MOST_IDS) });
  }
  return Math.max(0, ...line.placed.map(([note]) => note + 1));
}

function parseLine(line: string): NoteLine | null {
  if (line.length > MAX_LINE) return null;
  try {
    return Line.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
