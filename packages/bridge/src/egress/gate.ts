import { DenialError, DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import { UNREADABLE } from "./activity.ts";
import { readHost } from "./addresses.ts";
import type { Asker } from "./asking.ts";
import type { Books } from "./books.ts";
import type { Guard } from "./guard.ts";
import { Judge, type JudgeOptions, type Judgement } from "./judge.ts";
import { LiveConnection } from "./live-connection.ts";
import type { KnownMachine } from "./machine-rules.ts";
import type {
  EgressConnection,
  EgressDialled,
  EgressGate,
  EgressMachine,
  EgressPermit,
  EgressTarget,
} from "./ports.ts";
import { readAuthorities } from "./read-authorities.ts";
import { tooMany, unknown } from "./refusals.ts";
import { effectOf, sameEffect, type EffectiveRule, type EffectiveRules } from "./rules.ts";

/** Limits of the way out. */
export interface GateLimits {
  readonly perMachine: number;
  readonly total: number;
  /** After how long without a byte a connection is cut. */
  readonly idleMs: number;
  /** What one connection may move both ways together, where its rule says nothing. */
  readonly connectionMiB: number;
}

/** What the gate decides with. */
export interface GateOptions extends JudgeOptions {
  readonly guard: Guard;
  readonly books: Books;
  readonly limits?: Partial<GateLimits>;
  readonly log: Logger;
}

const DEFAULT_LIMITS: GateLimits = { perMachine: 512, total: 4096, idleMs: 900_000, connectionMiB: 65_536 };
const MIB = 1_048_576;
/** First refusals of a host that are recorded at once, each minute and machine; more wait for the next flush. */
const AT_ONCE_PER_MINUTE = 30;

interface Issued {
  readonly rule: EffectiveRule;
  readonly host: string;
}

/** The gate of the way out: decides by the rules in force, dials through the guard, and cuts what is no longer allowed. */
export class Gate implements EgressGate, Disposable {
  readonly #options: GateOptions;
  readonly #limits: GateLimits;
  readonly #judge: Judge;
  readonly #live = new Map<string, Set<LiveConnection>>();
  readonly #issued = new WeakMap<EgressPermit, Issued>();
  readonly #sweep: NodeJS.Timeout;
  readonly #atOnce = new Map<string, number>();
  #atOnceSince = 0;
  #total = 0;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#judge = new Judge(options);
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#sweep = setInterval(() => this.#cutIdle(), Math.min(30_000, this.#limits.idleMs)).unref();
  }

  async decide(target: EgressTarget, signal: AbortSignal): Promise<EgressPermit> {
    signal.throwIfAborted();
    try {
      const { host, rule } = await this.#judge.judge(target, signal);
      return await this.#permit(target, host, rule);
    } catch (thrown) {
      const error = toDoorwardError(thrown);
      if (error.code !== "ABORTED") this.refused(target.machine, target, error);
      throw error;
    }
  }

  /**
   * Judges a target for somebody who asks in words; where no rule names it, the operator is asked. Answers the rule that
   * allows it then; throws a DenialError when nothing does.
   */
  async request(
    target: EgressTarget,
    asker: Asker,
    seconds: number,
    signal: AbortSignal,
  ): Promise<Judgement> {
    signal.throwIfAborted();
    return await this.#judge.judge(target, signal, { seconds, asker });
  }

  async dial(permit: EgressPermit, signal: AbortSignal): Promise<EgressDialled> {
    const { target } = permit;
    try {
      const { rule, host } = this.#stillAllowed(permit);
      const asked = { scheme: "tcp", host, port: target.port, ranges: rule.ranges } as const;
      return await this.#options.guard.dial(asked, signal);
    } catch (thrown) {
      const error = toDoorwardError(thrown);
      if (error instanceof DenialError) this.refused(target.machine, target, error);
      throw error;
    }
  }

  track(permit: EgressPermit, cut: (reason: DoorwardError) => void): EgressConnection {
    const { machine: known } = permit.target;
    const { rule } = this.#stillAllowed(permit);
    const live = this.#live.get(known.id) ?? new Set<LiveConnection>();
    if (live.size >= this.#limits.perMachine || this.#total >= this.#limits.total) throw tooMany(permit);
    const { books, activity } = this.#options;
    const connection = new LiveConnection({
      machine: this.#judge.machine(permit.target),
      permit,
      books,
      activity,
      maxBytes: (rule.maxMiB ?? this.#limits.connectionMiB) * MIB,
      cut,
      ended: (ending) => this.#ended(ending),
    });
    this.#live.set(known.id, live.add(connection));
    this.#total += 1;
    return connection;
  }

  /** Counts a refusal, and records the first of a host at once. */
  refused({ id }: EgressMachine, target: EgressTarget | null, error: DoorwardError): void {
    const machine = this.#options.machine(id);
    if (machine === undefined) return;
    const { books, activity, log } = this.#options;
    const { code } = error;
    const { host, port } = placeOf(target);
    const first = activity.refused(machine.id, host, port, code);
    const rule = error instanceof DenialError ? error.rule : null;
    const group = { machine, host, port, address: null, decision: "refused", rule, code } as const;
    const row = target === null ? books.unreadable(machine, code) : books.row(group);
    row.connections += 1;
    if (!first || !this.#isAtOnce(machine.id)) return;
    books
      .flush(machine.id)
      .catch((cause: unknown) => log.error({ err: cause }, "egress could not be recorded"));
  }

  /** Judges every live connection of a machine, or of all, by the rules in force now, and cuts what they no longer allow. Answers how many. */
  rejudge(machineId?: string): number {
    let cut = 0;
    for (const connection of this.#connections(machineId)) {
      try {
        this.#stillAllowed(connection.permit);
      } catch (error) {
        connection.cut(toDoorwardError(error));
        cut += 1;
      }
    }
    return cut;
  }

  /** Cuts every connection of a machine. */
  end(machineId: string, reason: DoorwardError): void {
    for (const connection of this.#connections(machineId)) connection.cut(reason);
  }

  /** Connections of a machine that are open now. */
  open(machineId: string): number {
    return this.#live.get(machineId)?.size ?? 0;
  }

  /** The rules in force for a machine. */
  rules(machine: KnownMachine): EffectiveRules {
    return this.#judge.rules(machine);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweep);
  }

  async #permit(target: EgressTarget, host: string, rule: EffectiveRule): Promise<EgressPermit> {
    const { tls, methods, paths } = rule;
    const ca = rule.ca === null ? null : await readAuthorities(rule.ca);
    const { source } = rule;
    const effect = effectOf(rule);
    const permit: EgressPermit = {
      target: { ...target, host },
      rule: source,
      tls,
      methods,
      paths,
      effect,
      ca,
    };
    this.#issued.set(permit, { rule, host });
    return permit;
  }

  /** The rule behind a permit, if what it permitted is still exactly what the rules in force say. */
  #stillAllowed(permit: EgressPermit): Issued {
    const issued = this.#issued.get(permit);
    const { target } = permit;
    if (issued === undefined) {
      throw new DoorwardError({
        code: "INTERNAL",
        message: "A permit was used that this gate did not issue",
      });
    }
    const rule = this.#judge.still(target, issued.host);
    if (sameEffect(rule, issued.rule)) return issued;
    throw unknown(target, issued.host, this.#judge.machine(target));
  }

  #isAtOnce(machineId: string): boolean {
    const now = Date.now();
    if (now - this.#atOnceSince > 60_000) {
      this.#atOnce.clear();
      this.#atOnceSince = now;
    }
    const count = (this.#atOnce.get(machineId) ?? 0) + 1;
    this.#atOnce.set(machineId, count);
    return count <= AT_ONCE_PER_MINUTE;
  }

  #ended(connection: LiveConnection): void {
    const live = this.#live.get(connection.machineId);
    if (live?.delete(connection) === true) this.#total -= 1;
    if (live?.size === 0) this.#live.delete(connection.machineId);
  }

  #connections(machineId?: string): LiveConnection[] {
    const of = machineId === undefined ? [...this.#live.values()] : [this.#live.get(machineId) ?? []];
    return of.flatMap((all) => [...all]);
  }

  #cutIdle(): void {
    const before = Date.now() - this.#limits.idleMs;
    for (const connection of this.#connections()) {
      if (connection.lastActive > before) continue;
      const message = `Cannot go on with "${connection.permit.target.host}": nothing passed for a long time`;
      connection.cut(new DoorwardError({ code: "TIMED_OUT", message }));
    }
  }
}

function placeOf(target: EgressTarget | null): { readonly host: string; readonly port: number } {
  if (target === null) return UNREADABLE;
  const asked = readHost(target.host);
  return { host: asked.kind === "name" ? asked.name : target.host.slice(0, 300), port: target.port };
}
