import type { EgressRefusal, EgressTraffic } from "@doorward/contracts";
import { escapeControls } from "../evidence/index.ts";

/** What is known of one host and port of one machine since the bridge started. */
export interface ActivityRow {
  readonly host: string;
  readonly port: number;
  decision: EgressTraffic["decision"];
  rule: string | null;
  open: number;
  connections: number;
  sent: number;
  received: number;
  at: number;
  refused: { code: string; count: number; firstAt: number; lastAt: number } | null;
}

/** Stands in the list for connections that named no host that could be read. */
export const UNREADABLE = { host: "(unreadable)", port: 0 } as const;

type Listener = (row: ActivityRow) => void;

const ROWS_PER_MACHINE = 500;

/** What machines ask for, get and are refused, live: for `egress ls` and `egress watch`. Holds the newest hosts of each. */
export class Activity {
  readonly #rows = new Map<string, Map<string, ActivityRow>>();
  readonly #listeners = new Map<string, Set<Listener>>();

  /** Changes the row of a host and tells who watches. */
  change(machineId: string, host: string, port: number, change: (row: ActivityRow) => void): void {
    const row = this.#row(machineId, host, port);
    change(row);
    row.at = Date.now();
    for (const listener of this.#listeners.get(machineId) ?? []) listener(row);
  }

  /** Counts a refusal. Answers whether it is the first of this host and port. */
  refused(machineId: string, host: string, port: number, code: string): boolean {
    let first = false;
    this.change(machineId, host, port, (row) => {
      const now = Date.now();
      first = row.refused === null;
      row.decision = "refused";
      row.rule = code;
      row.connections += 1;
      row.refused = {
        code,
        count: (row.refused?.count ?? 0) + 1,
        firstAt: row.refused?.firstAt ?? now,
        lastAt: now,
      };
    });
    return first;
  }

  /** Forgets that a host was refused, because it is allowed by now. */
  settled(machineId: string, covers: (host: string, port: number) => boolean): void {
    for (const row of this.rows(machineId)) if (covers(row.host, row.port)) row.refused = null;
  }

  /** Every row of a machine. */
  rows(machineId: string): readonly ActivityRow[] {
    return [...(this.#rows.get(machineId)?.values() ?? [])];
  }

  /** Refused hosts of a machine, newest first. */
  refusals(machineId: string, command: (row: ActivityRow) => string | null): EgressRefusal[] {
    return this.rows(machineId)
      .flatMap((row) => (row.refused === null ? [] : [{ row, refused: row.refused }]))
      .toSorted((one, other) => other.refused.lastAt - one.refused.lastAt)
      .map(({ row, refused }) => ({
        host: escapeControls(row.host).slice(0, 300),
        port: row.port,
        code: refused.code,
        count: refused.count,
        firstAt: new Date(refused.firstAt).toISOString(),
        lastAt: new Date(refused.lastAt).toISOString(),
        command: command(row),
      }));
  }

  /** Calls back for each change of a machine's rows, until disposed. */
  watch(machineId: string, listener: Listener): Disposable {
    const listeners = this.#listeners.get(machineId) ?? new Set();
    this.#listeners.set(machineId, listeners.add(listener));
    return { [Symbol.dispose]: () => void listeners.delete(listener) };
  }

  /** Forgets a machine that is gone. */
  forget(machineId: string): void {
    this.#rows.delete(machineId);
    this.#listeners.delete(machineId);
  }

  #row(machineId: string, host: string, port: number): ActivityRow {
    const rows = this.#rows.get(machineId) ?? new Map<string, ActivityRow>();
    this.#rows.set(machineId, rows);
    const key = `${host} ${port}`;
    const found = rows.get(key) ?? newRow(host, port);
    // Moved to the end, so that the first is the one that nothing happened to for the longest time.
    rows.delete(key);
    rows.set(key, found);
    if (rows.size > ROWS_PER_MACHINE) rows.delete([...rows.keys()][0] ?? "");
    return found;
  }
}

/** A row as a watch tells it. */
export function trafficOf(machine: string, row: ActivityRow): EgressTraffic {
  const { port, decision, open, connections, sent, received } = row;
  return {
    machine,
    host: escapeControls(row.host).slice(0, 300),
    port,
    decision,
    rule: row.rule?.slice(0, 300) ?? null,
    open,
    connections,
    sent,
    received,
    at: new Date(row.at).toISOString(),
  };
}

function newRow(host: string, port: number): ActivityRow {
  return {
    host,
    port,
    decision: "asked",
    rule: null,
    open: 0,
    connections: 0,
    sent: 0,
    received: 0,
    at: 0,
    refused: null,
  };
}
