import { DenialError, DoorwardError } from "@doorward/contracts";
import type { Activity } from "./activity.ts";
import { Books, type BooksMachine, type BooksRow } from "./books.ts";
import type { EgressConnection, EgressPermit } from "./ports.ts";

/** What one live connection is made from. */
export interface LiveParts {
  readonly machine: BooksMachine;
  readonly permit: EgressPermit;
  readonly books: Books;
  readonly activity: Activity;
  readonly maxBytes: number;
  readonly cut: (reason: DoorwardError) => void;
  readonly ended: (connection: LiveConnection) => void;
}

/** A connection in the books, from its permit until it is disposed; cut at most once. */
export class LiveConnection implements EgressConnection {
  readonly permit: EgressPermit;
  readonly machineId: string;
  #address: string | null = null;
  #counted = false;
  #ended = false;
  #wasCut = false;
  #bytes = 0;
  #lastActive = Date.now();
  #kept: { readonly row: BooksRow; readonly flushes: number; readonly address: string | null } | null = null;
  readonly #parts: LiveParts;

  constructor(parts: LiveParts) {
    this.#parts = parts;
    this.permit = parts.permit;
    this.machineId = parts.machine.id;
    const { host, port } = parts.permit.target;
    parts.activity.change(this.machineId, host, port, (row) => {
      row.decision = "allowed";
      row.rule = parts.permit.rule;
      row.open += 1;
      row.connections += 1;
    });
  }

  /** When a byte last passed, in milliseconds of the wall clock. */
  get lastActive(): number {
    return this.#lastActive;
  }

  get address(): string | null {
    return this.#address;
  }

  dialled(address: string): void {
    this.#address = address.slice(0, 60);
    this.#row();
  }

  sent(bytes: number): void {
    this.#row().sent += bytes;
    this.#moved(bytes, "sent");
  }

  received(bytes: number): void {
    this.#row().received += bytes;
    this.#moved(bytes, "received");
  }

  usedSecret(name: string): void {
    Books.secret(this.#row(), name);
  }

  request(method: string, path: string, status: number): void {
    this.#lastActive = Date.now();
    // Only where a rule of the operator says so; a host that is opened for a secret keeps its paths to itself.
    if (this.permit.tls === "open") Books.request(this.#row(), method, path, status);
  }

  failed(code: string): void {
    this.#row().code = code;
  }

  /** Ends it because it is no longer allowed, or took too much. */
  cut(reason: DoorwardError): void {
    if (this.#ended || this.#wasCut) return;
    this.#wasCut = true;
    this.failed(reason.code);
    this.#parts.cut(reason);
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#row();
    this.#ended = true;
    const { activity } = this.#parts;
    const { host, port } = this.permit.target;
    activity.change(this.machineId, host, port, (row) => (row.open = Math.max(0, row.open - 1)));
    this.#parts.ended(this);
  }

  #moved(bytes: number, direction: "sent" | "received"): void {
    this.#lastActive = Date.now();
    this.#bytes += bytes;
    const { activity, maxBytes } = this.#parts;
    const { host, port } = this.permit.target;
    activity.change(this.machineId, host, port, (row) => (row[direction] += bytes));
    if (this.#bytes > maxBytes) this.cut(overCap(this.permit));
  }

  #row(): BooksRow {
    const { books, machine } = this.#parts;
    // Chunk by chunk: the row is looked up only when it may be another one.
    if (this.#kept?.flushes === books.flushes && this.#kept.address === this.#address) return this.#kept.row;
    const { host, port } = this.permit.target;
    const group = {
      machine,
      host,
      port,
      address: this.#address,
      rule: this.permit.rule,
      code: null,
    } as const;
    const row = books.row({ ...group, decision: "allowed" });
    if (!this.#counted) row.connections += 1;
    this.#counted = true;
    this.#kept = { row, flushes: books.flushes, address: this.#address };
    return row;
  }
}

function overCap({ target, rule }: EgressPermit): DoorwardError {
  return new DenialError({
    code: "EGRESS_DENIED",
    rule,
    message: `Cannot go on with "${target.host}": it moved more bytes than one connection may`,
    hint: "Set maxMiB of a rule for it in policy.yaml",
  });
}
