import { DoorwardError, type EvidenceType } from "@doorward/contracts";
import { TILE_WIDTH } from "./merkle.ts";
import { filterKeys, readLeaf, type EvidenceEntry } from "./record.ts";

const MAX_PAGE = 1000;

/** Which records to list; every word given must fit. */
export interface EvidenceQuery {
  /** Only records in front of this index. */
  readonly before?: number | undefined;
  /** Only records behind this index. */
  readonly after?: number | undefined;
  /** Only records of this time (RFC 3339, UTC) or later. */
  readonly since?: string | undefined;
  /** Most records to return: 1 to 1000. */
  readonly limit: number;
  readonly type?: EvidenceType | undefined;
  /** Id or name of a machine. */
  readonly machine?: string | undefined;
  readonly grant?: string | undefined;
  readonly subject?: string | undefined;
  readonly correlationId?: string | undefined;
}

/** Records, newest first, and the `before` of the next page (null at the end). */
export interface EvidencePage {
  readonly entries: readonly EvidenceEntry[];
  readonly next: number | null;
}

/** What listing needs of a log. */
export interface ListSource {
  readonly size: number;
  mayHold(bundle: number, words: readonly string[]): boolean;
  bundle(n: number): Promise<readonly Buffer[]>;
}

/** Lists records, newest first; bundles that can't hold a fitting record are skipped unread. */
export async function listRecords(source: ListSource, query: EvidenceQuery): Promise<EvidencePage> {
  const { before = source.size, after = -1, limit, since } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot list evidence: limit is not 1 to ${String(MAX_PAGE)}`,
    });
  }
  const words = wordsOf(query);
  const entries: EvidenceEntry[] = [];
  let index = Math.min(before, source.size) - 1;
  while (index > after) {
    const n = Math.floor(index / TILE_WIDTH);
    const leaves = source.mayHold(n, words) ? await source.bundle(n) : [];
    for (; index > after && index >= n * TILE_WIDTH; index--) {
      const leaf = leaves[index % TILE_WIDTH];
      const entry = leaf === undefined ? null : readLeaf(leaf, index);
      if (entry !== null && isBefore(entry, since)) return { entries, next: null };
      if (entry === null || !fits(entry, words)) continue;
      entries.push(entry);
      if (entries.length === limit) return { entries, next: index > after + 1 ? index : null };
    }
  }
  return { entries, next: null };
}

/** Time never goes back in a log, so nothing in front of such a record fits either. */
function isBefore({ statement }: EvidenceEntry, since: string | undefined): boolean {
  return since !== undefined && Date.parse(statement.predicate.at) < Date.parse(since);
}

function wordsOf({ type, machine, grant, subject, correlationId }: EvidenceQuery): string[] {
  const words = { type, machine, grant, subject, correlation: correlationId };
  return Object.entries(words).flatMap(([kind, value]) => (value === undefined ? [] : [`${kind} ${value}`]));
}

function fits({ type, statement }: EvidenceEntry, words: readonly string[]): boolean {
  const own = filterKeys({ ...statement.predicate, type });
  return words.every((word) => own.includes(word));
}
