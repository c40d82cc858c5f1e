import { toDoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import type { EvidenceLog } from "../evidence/index.ts";
import type { KnownMachine } from "./machine-rules.ts";

/** Who changes what a machine may reach. */
export interface EgressCaller {
  readonly subject: string;
  readonly correlationId: string;
}

/** What was changed. */
export interface EgressChange {
  readonly change: "allowed" | "denied" | "ended";
  readonly host: string;
  readonly ports: readonly number[];
  readonly expiresAt: string | null;
  readonly connectionsCut: number;
}

/** Writes what changed about machines' way out into the evidence. */
export class ChangeRecords {
  readonly #evidence: Pick<EvidenceLog, "append">;
  readonly #policyHash: () => string;
  readonly #log: Logger;
  readonly #pending = new Set<Promise<void>>();

  constructor(evidence: Pick<EvidenceLog, "append">, policyHash: () => string, log: Logger) {
    this.#evidence = evidence;
    this.#policyHash = policyHash;
    this.#log = log;
  }

  /** Records a change; resolves when it is durable. */
  async record(machine: KnownMachine, by: EgressCaller, change: EgressChange): Promise<void> {
    await this.#evidence.append({
      type: "egress-change",
      correlationId: by.correlationId,
      subject: by.subject,
      machine: { id: machine.id, name: machine.name },
      grant: null,
      policyHash: this.#policyHash(),
      ...change,
      ports: [...change.ports],
    });
  }

  /** Lets a record be written while nobody waits; a failure is logged. */
  inBackground(work: Promise<void>): void {
    const watched = work.catch((error: unknown) =>
      this.#log.error({ err: toDoorwardError(error) }, "egress could not be recorded"),
    );
    this.#pending.add(watched);
    void watched.finally(() => this.#pending.delete(watched));
  }

  /** Waits for what is written in the background. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }
}
