import { ActionReport, EVIDENCE_PREDICATES } from "@doorward/contracts";
import * as z from "zod";
import type { Documents, Store } from "../store/index.ts";

/** What every record of one request says; digests, no contents. */
export const RecordBase = EVIDENCE_PREDICATES["host-action"].omit({
  recordId: true,
  at: true,
  policyHash: true,
  event: true,
  decision: true,
  outcome: true,
  code: true,
  violation: true,
  after: true,
  bytes: true,
  result: true,
  exitCode: true,
  stdoutBytes: true,
  stderrBytes: true,
  durationMs: true,
  workflow: true,
});
export type RecordBase = z.infer<typeof RecordBase>;

const StoredAction = z.strictObject({ id: z.string().max(60), report: ActionReport, base: RecordBase });
type StoredAction = z.infer<typeof StoredAction>;

const KEPT = 500;

/** How far each request came, durably: what a killed bridge leaves behind tells it to the next one. */
export class ActionReports {
  readonly #stored: Documents<StoredAction>;

  constructor(store: Store) {
    this.#stored = store.documents("host-actions", StoredAction);
  }

  /** Durable when it returns. */
  put(report: ActionReport, base: RecordBase): void {
    this.#stored.put(report.id, { id: report.id, report, base });
  }

  get(id: string): ActionReport | undefined {
    return this.#stored.get(id)?.report;
  }

  /** Newest first. */
  list(): readonly ActionReport[] {
    return this.#all().map(({ report }) => report);
  }

  /** What was going on when the bridge before this one ended. */
  cut(): readonly StoredAction[] {
    return this.#all().filter(({ report }) => report.endedAt === null);
  }

  /** Forgets the oldest that have ended. */
  prune(): void {
    for (const { report } of this.#all().slice(KEPT)) {
      if (report.endedAt !== null) this.#stored.delete(report.id);
    }
  }

  #all(): StoredAction[] {
    return [...this.#stored.list()].sort((a, b) => b.report.startedAt.localeCompare(a.report.startedAt));
  }
}
