import type { EvidenceInput } from "@doorward/contracts";
import { escapeControls } from "../evidence/index.ts";

/** The machine that rows are about, and who launched it. */
export interface BooksMachine {
  readonly id: string;
  readonly name: string;
  readonly subject: string;
}

/** What one row of the books groups. */
export interface BooksGroup {
  readonly machine: BooksMachine;
  readonly host: string;
  readonly port: number;
  readonly address: string | null;
  readonly decision: "allowed" | "refused";
  readonly rule: string | null;
  readonly code: string | null;
}

/** Counts of one row since the last flush. */
export interface BooksRow {
  connections: number;
  sent: number;
  received: number;
  code: string | null;
  readonly secrets: Set<string>;
  /** By method, path and status. */
  readonly requests: Map<string, { method: string; path: string; status: number; count: number }>;
}

interface Kept extends BooksRow {
  readonly group: BooksGroup | HostlessGroup;
  readonly from: string;
}

interface HostlessGroup {
  readonly machine: BooksMachine;
  readonly decision: "allowed" | "refused";
  readonly code?: string;
}

/** Most rows of one machine between two flushes; what is beyond is counted together. */
const ROWS_PER_MACHINE = 300;
const REQUESTS_PER_ROW = 100;
const SECRETS_PER_ROW = 50;

/** Groups what machines do outside, until it is written into the evidence; holds a bounded number of rows. */
export class Books {
  readonly #append: (input: EvidenceInput) => Promise<unknown>;
  readonly #policyHash: () => string;
  readonly #rows = new Map<string, Map<string, Kept>>();
  /** Counts flushes: a row that was got before one must not be counted in after it. */
  flushes = 0;

  constructor(append: (input: EvidenceInput) => Promise<unknown>, policyHash: () => string) {
    this.#append = append;
    this.#policyHash = policyHash;
  }

  /** The row to count in now. After a flush it is another one. */
  row(group: BooksGroup): BooksRow {
    const { machine, host, port, address, decision, rule, code } = group;
    const rows = this.#rows.get(machine.id) ?? new Map<string, Kept>();
    this.#rows.set(machine.id, rows);
    const key = JSON.stringify([host, port, address, decision, rule, decision === "refused" ? code : null]);
    const found = rows.get(key);
    if (found !== undefined) return found;
    const full = rows.size >= ROWS_PER_MACHINE;
    const kept = full ? (rows.get(decision) ?? newRow({ machine, decision })) : newRow(group);
    rows.set(full ? decision : key, kept);
    return kept;
  }

  /** The row of refusals that named no host, one for each code. Never kept by the caller. */
  unreadable(machine: BooksMachine, code: string): BooksRow {
    const rows = this.#rows.get(machine.id) ?? new Map<string, Kept>();
    this.#rows.set(machine.id, rows);
    const kept = rows.get(code) ?? newRow({ machine, decision: "refused", code });
    rows.set(code, kept);
    return kept;
  }

  /** Counts one request of an opened host, as far as the row has room. */
  static request(row: BooksRow, method: string, path: string, status: number): void {
    const [bare = ""] = path.split(/[?#]/);
    const shown = escapeControls(bare).slice(0, 1000);
    const key = JSON.stringify([method, shown, status]);
    const found = row.requests.get(key);
    if (found !== undefined) found.count += 1;
    else if (row.requests.size < REQUESTS_PER_ROW)
      row.requests.set(key, { method: method.slice(0, 20), path: shown, status, count: 1 });
  }

  /** Notes the name of a secret that was used. */
  static secret(row: BooksRow, name: string): void {
    if (row.secrets.size < SECRETS_PER_ROW) row.secrets.add(name.slice(0, 120));
  }

  /** Writes the rows of one machine, or of all; resolves when they are durable. */
  async flush(machineId?: string): Promise<void> {
    const ids = machineId === undefined ? [...this.#rows.keys()] : [machineId];
    const rows = ids.flatMap((id) => [...(this.#rows.get(id)?.values() ?? [])]);
    for (const id of ids) this.#rows.delete(id);
    this.flushes += 1;
    const to = new Date().toISOString();
    await Promise.all(rows.map((row) => this.#append(record(row, to, this.#policyHash()))));
  }
}

function newRow(group: Kept["group"]): Kept {
  const { code = null } = group;
  const from = new Date().toISOString();
  return { group, from, connections: 0, sent: 0, received: 0, code, secrets: new Set(), requests: new Map() };
}

function record(row: Kept, to: string, policyHash: string): EvidenceInput {
  const { group } = row;
  const named = "host" in group ? group : null;
  const { id, name, subject } = group.machine;
  return {
    type: "egress",
    correlationId: id,
    subject,
    machine: { id, name },
    grant: null,
    policyHash,
    host: named === null ? null : escapeControls(named.host).slice(0, 300),
    port: named?.port ?? null,
    address: named?.address ?? null,
    decision: group.decision,
    rule: named?.rule?.slice(0, 300) ?? null,
    code: row.code,
    connections: row.connections,
    sent: row.sent,
    received: row.received,
    secrets: [...row.secrets],
    requests: [...row.requests.values()],
    from: row.from,
    to,
  };
}
