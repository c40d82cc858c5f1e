import { randomUUID } from "node:crypto";
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as z from "zod";

const Begin = z.strictObject({
  id: z.string(),
  scope: z.string(),
  startedAt: z.string(),
  operations: z.array(z.strictObject({ type: z.string(), path: z.string(), unfinished: z.string() })),
});
const Step = z.union([z.strictObject({ doing: z.int().min(0) }), z.strictObject({ done: z.int().min(0) })]);

/** What a plan was to do, written down before it does anything; paths, never contents. */
export type JournalBegin = z.infer<typeof Begin>;

/** How far a plan came whose bridge ended in the middle of it. */
export interface InterruptedFiles {
  readonly id: string;
  readonly scope: string;
  readonly startedAt: string;
  readonly total: number;
  /** Operations that were done. */
  readonly applied: number;
  /** The one that was being done: its file is the old one or the new one; null between two. */
  readonly doing: { readonly type: string; readonly path: string; readonly unfinished: string } | null;
}

/** The record of one plan that is being applied; it is gone when the plan has ended in any way that was seen. */
export class FilesJournal implements Disposable {
  readonly #path: string;
  #fd: number | null;

  private constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, "wx", 0o600);
  }

  static begin(folder: string, scope: string, operations: JournalBegin["operations"]): FilesJournal {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const id = randomUUID();
    const begin = { id, scope, startedAt: new Date().toISOString(), operations };
    const journal = new FilesJournal(join(folder, `${id}.jsonl`));
    try {
      journal.#write(begin);
      syncPath(folder);
    } catch (error) {
      journal[Symbol.dispose]();
      throw error;
    }
    return journal;
  }

  doing(index: number): void {
    this.#write({ doing: index });
  }

  done(index: number): void {
    this.#write({ done: index });
  }

  [Symbol.dispose](): void {
    if (this.#fd === null) return;
    closeSync(this.#fd);
    this.#fd = null;
    unlinkSync(this.#path);
  }

  #write(line: object): void {
    if (this.#fd === null) return;
    // All of it or an error: a single write takes what fits on a disk that is all but full.
    writeFileSync(this.#fd, `${JSON.stringify(line)}\n`);
    fdatasyncSync(this.#fd);
  }
}

/**
 * Reads what interrupted plans left, and removes each record once `settle` has put its files in order. One that can't be
 * read or removed stays, and keeps no other from being settled.
 */
export function readInterrupted(
  folder: string,
  settle: (found: InterruptedFiles) => void,
): readonly InterruptedFiles[] {
  const found: InterruptedFiles[] = [];
  for (const name of namesOf(folder)) {
    const interrupted = settled(join(folder, name), settle);
    if (interrupted !== null) found.push(interrupted);
  }
  return found;
}

function settled(path: string, settle: (found: InterruptedFiles) => void): InterruptedFiles | null {
  try {
    const interrupted = interruptedOf(readFileSync(path, "utf8"));
    if (interrupted !== null) settle(interrupted);
    unlinkSync(path);
    return interrupted;
  } catch {
    return null;
  }
}

/** A last line that was cut short never happened; without a first one nothing had been done. */
function interruptedOf(text: string): InterruptedFiles | null {
  const [first, ...rest] = text.split("\n").slice(0, -1).map(parseLine);
  const begin = Begin.safeParse(first);
  if (!begin.success) return null;
  const steps = rest.flatMap((line) => Step.safeParse(line).data ?? []);
  const last = steps.at(-1);
  const applied = steps.filter((step) => "done" in step).length;
  const { id, scope, startedAt, operations } = begin.data;
  const doing = last !== undefined && "doing" in last ? (operations[last.doing] ?? null) : null;
  return { id, scope, startedAt, total: operations.length, applied, doing };
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function namesOf(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
  } catch {
    return [];
  }
}

function syncPath(folder: string): void {
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
