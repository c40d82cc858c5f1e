import { DoorwardError, EgressAllowance, type EgressTraffic, type EgressView } from "@doorward/contracts";
import type { GuestLink } from "@doorward/guest";
import type { Logger } from "pino";
import type { ApprovalGiven, Approvals } from "../approvals/index.ts";
import type { EvidenceLog } from "../evidence/index.ts";
import type { Store } from "../store/index.ts";
import { Activity } from "./activity.ts";
import { Allowances } from "./allowances.ts";
import { Asking, type AskedPlace } from "./asking.ts";
import { Books } from "./books.ts";
import { ChangeRecords, type EgressCaller } from "./change-records.ts";
import { Gate, type GateLimits } from "./gate.ts";
import { Guard } from "./guard.ts";
import type { EgressPolicy, KnownMachine } from "./machine-rules.ts";
import type { EgressFront } from "./ports.ts";
import { commandFor, deniedByPolicy, refuseUnusable } from "./refusals.ts";
import { matches, opensAll } from "./rules.ts";
import { Serving } from "./serving.ts";
import { tellTraffic } from "./tell-traffic.ts";

/** What the way out is made from. */
export interface EgressOptions {
  readonly store: Store;
  readonly evidence: Pick<EvidenceLog, "append">;
  readonly policy: EgressPolicy & {
    onEvent(listener: (event: { readonly kind: string }) => void): Disposable;
  };
  readonly approvals: Approvals;
  /** A machine that runs. */
  readonly machine: (id: string) => KnownMachine | undefined;
  /** Subject of what the bridge does by itself. */
  readonly bridgeSubject: string;
  readonly guard?: Guard;
  readonly limits?: Partial<GateLimits>;
  readonly log: Logger;
}

/** What somebody in a machine asks to reach. */
export interface EgressRequest {
  readonly machine: KnownMachine;
  /** Who asks: a subject. */
  readonly subject: string;
  readonly host: string;
  readonly port: number;
  /** Why, in its own words. */
  readonly reason: string;
  readonly grant?: string | null;
  readonly correlationId?: string;
  /** How long the operator has at least; five minutes when absent. */
  readonly seconds?: number;
  /** Hears of the question, when one has to be asked. */
  readonly onAsked?: ((question: { readonly id: string; readonly expiresAt: string }) => void) | undefined;
}

/** A host that may be reached, since it was approved now or by a rule that stood before. */
export interface EgressGiven {
  readonly decision: "approved" | "standing";
  /** Which rule allows it, in words. */
  readonly rule: string;
  /** The host as it was read. */
  readonly host: string;
}

const FLUSH_MS = 60_000;
const REQUEST_SECONDS = 300;

/**
 * The guarded way out of all machines: serves what their guests hand over, decides by policy, profile and what commands
 * allowed, and writes what happened into the evidence.
 */
export class Egress implements AsyncDisposable {
  readonly gate: Gate;
  readonly #options: EgressOptions;
  readonly #allowances: Allowances;
  readonly #activity = new Activity();
  readonly #asking: Asking;
  readonly #books: Books;
  readonly #changes: ChangeRecords;
  readonly #serving: Serving;
  readonly #listening: Disposable;
  readonly #flushing: NodeJS.Timeout;

  constructor(options: EgressOptions) {
    const { evidence, policy, approvals, machine, log } = options;
    this.#options = options;
    this.#serving = new Serving(log);
    this.#changes = new ChangeRecords(evidence, () => policy.hash, log);
    this.#books = new Books(
      (input) => evidence.append(input),
      () => policy.hash,
    );
    const stored = options.store.documents("egress-allowances", EgressAllowance);
    this.#allowances = new Allowances(stored, (over) => this.#over(over), log);
    this.#asking = new Asking(approvals, (asker, places, given) => this.#approved(asker, places, given));
    this.gate = new Gate({
      policy,
      machine,
      allowances: (id) => this.#allowances.of(id),
      guard: options.guard ?? new Guard(),
      books: this.#books,
      activity: this.#activity,
      asking: this.#asking,
      limits: options.limits ?? {},
      log,
    });
    // Called before a reload returns, so that it has cut what it no longer allows by then.
    this.#listening = policy.onEvent(({ kind }) => {
      if (kind === "changed") this.#rejudged();
    });
    this.#flushing = setInterval(() => this.#changes.inBackground(this.#books.flush()), FLUSH_MS).unref();
  }

  /** Serves the connections that a machine's guest hands over, until it ends. */
  start(
    machine: { readonly id: string; readonly name: string },
    link: Pick<GuestLink, "onEgress">,
    front: EgressFront,
  ): void {
    this.#stop(machine.id, "the machine was launched again");
    this.#serving.start(machine, link, front);
  }

  /** Ends all connections of a machine and records what they did; a machine ends also when that can't be recorded. */
  async end(machineId: string, reason: string): Promise<void> {
    this.#stop(machineId, reason);
    await this.#flush(machineId);
  }

  /** Forgets a machine that was removed, with everything that was allowed for it. */
  forget(machineId: string): void {
    this.#allowances.end(machineId, () => true);
    this.#activity.forget(machineId);
  }

  /** What a machine may reach, reaches and was refused. */
  view(machine: KnownMachine): EgressView {
    const { rules, deny, closed, presets, askSeconds } = this.gate.rules(machine);
    return {
      machine: machine.id,
      name: machine.name,
      presets: [...presets],
      rules: rules.slice(0, 2000).map(({ host, ports, source, ranges, tls }) => {
        return { host, ports: [...ports], source: source.slice(0, 300), internal: ranges !== null, tls };
      }),
      deny: [...new Set([...deny, ...closed])].slice(0, 1000),
      allowances: this.#allowances.of(machine.id),
      refused: this.#activity.refusals(machine.id, (row) => commandFor(machine, row)),
      askSeconds,
      connections: this.gate.open(machine.id),
    };
  }

  /** Lets a machine reach a host; recorded before it is in force. */
  async allow(
    machine: KnownMachine,
    ask: { readonly host: string; readonly ports: readonly number[]; readonly seconds: number | null },
    by: EgressCaller,
  ): Promise<EgressAllowance> {
    const { host, ports, seconds } = ask;
    refuseUnusable(host);
    const rules = this.gate.rules(machine);
    const denied = rules.deny.find((each) => each === host || matches(each, host));
    if (denied !== undefined) throw deniedByPolicy(host, denied);
    const expiresAt = seconds === null ? null : new Date(Date.now() + seconds * 1000).toISOString();
    await this.#changes.record(machine, by, { change: "allowed", host, ports, expiresAt, connectionsCut: 0 });
    // For a time, or for less than was denied, the denial stays beneath.
    if (seconds === null && opensAll(rules, host, ports)) {
      this.#allowances.end(machine.id, (each) => each.effect === "deny" && each.host === host);
    }
    return this.#open(machine, { host, ports, by: by.subject, expiresAt });
  }

  /** Closes a host for a machine, live connections first; the record follows. */
  async deny(
    machine: KnownMachine,
    host: string,
    by: EgressCaller,
  ): Promise<{ denied: EgressAllowance; ended: string[]; cut: number }> {
    const covered = (each: string): boolean => each === host || matches(host, each);
    const ended = this.#allowances.end(machine.id, (each) => each.effect === "allow" && covered(each.host));
    const denied = this.#allowances.add({
      machine: machine.id,
      host,
      ports: [],
      effect: "deny",
      by: by.subject,
      expiresAt: null,
    });
    const cut = this.gate.rejudge(machine.id);
    await this.#changes.record(machine, by, {
      change: "denied",
      host,
      ports: [],
      expiresAt: null,
      connectionsCut: cut,
    });
    return { denied, ended: ended.map(({ id }) => id), cut };
  }

  /**
   * Asks for a host on behalf of somebody in a machine, e.g. an agent, and waits for the decision; what the rules allow
   * already is not asked. Throws a DenialError (EGRESS_DENIED, EGRESS_ADDRESS_DENIED), whose hint may be a command, when
   * it stays closed, and why the signal was aborted.
   */
  async request(ask: EgressRequest, signal: AbortSignal): Promise<EgressGiven> {
    const { machine, host, port, subject, reason, grant = null, correlationId = machine.id } = ask;
    const asker = { subject, reason, grant, correlationId, onAsked: ask.onAsked };
    const seconds = Math.max(ask.seconds ?? REQUEST_SECONDS, this.gate.rules(machine).askSeconds);
    const { id, name } = machine;
    const target = { machine: { id, name }, host, port, via: "asked" } as const;
    const { rule, asked, host: reached } = await this.gate.request(target, asker, seconds, signal);
    return { decision: asked ? "approved" : "standing", rule: rule.source, host: reached };
  }

  /** Tells the traffic of a machine, first what is known and then each change, until aborted or the machine ends. */
  async watch(
    machine: KnownMachine,
    tell: (event: EgressTraffic) => boolean,
    signal: AbortSignal,
  ): Promise<string> {
    const over = this.#serving.signalOf(machine.id);
    const stop = over === undefined ? signal : AbortSignal.any([signal, over]);
    await tellTraffic(this.#activity, machine, tell, stop);
    return over?.aborted === true ? "the machine ended" : "the caller went away";
  }

  /** Ends every connection and records what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listening[Symbol.dispose]();
    clearInterval(this.#flushing);
    for (const id of this.#serving.ids) this.#stop(id, "the bridge stops");
    this.#allowances[Symbol.dispose]();
    this.gate[Symbol.dispose]();
    await this.#changes.settled();
    await this.#flush();
  }

  async #flush(machineId?: string): Promise<void> {
    await this.#books
      .flush(machineId)
      .catch((error: unknown) => this.#options.log.error({ err: error }, "egress could not be recorded"));
  }

  #stop(machineId: string, why: string): void {
    const reason = new DoorwardError({
      code: "MACHINE_NOT_RUNNING",
      message: `The connection was ended: ${why}`,
    });
    this.#serving.stop(machineId, reason);
    this.#asking.end(machineId);
    this.gate.end(machineId, reason);
  }

  #rejudged(): void {
    const cut = this.gate.rejudge();
    if (cut > 0)
      this.#options.log.info({ cut }, "egress: connections that the new policy does not allow were cut");
  }

  /** Every host of a question that the operator approved; recorded before it is in force. */
  async #approved(
    asker: { readonly id: string },
    places: readonly AskedPlace[],
    given: ApprovalGiven,
  ): Promise<void> {
    const machine = this.#options.machine(asker.id);
    if (machine === undefined) return;
    const by = { subject: given.by, correlationId: given.id };
    const { expiresAt } = given;
    const change = { change: "allowed", expiresAt, connectionsCut: 0 } as const;
    const recording = places.map(({ host, port }) =>
      this.#changes.record(machine, by, { ...change, host, ports: [port] }),
    );
    await Promise.all(recording);
    if (this.#options.machine(asker.id) === undefined) return;
    for (const { host, port } of places)
      this.#open(machine, { host, ports: [port], by: given.by, expiresAt });
  }

  #open(machine: KnownMachine, given: AllowGiven): EgressAllowance {
    const allowance = this.#allowances.add({ ...given, machine: machine.id, effect: "allow" });
    const { host, ports } = allowance;
    this.#activity.settled(machine.id, (asked, port) => matches(host, asked) && ports.includes(port));
    return allowance;
  }

  #over(allowance: EgressAllowance): void {
    const cut = this.gate.rejudge(allowance.machine);
    const machine = this.#options.machine(allowance.machine);
    if (machine === undefined) return;
    const by = { subject: this.#options.bridgeSubject, correlationId: allowance.id };
    const { host, ports, expiresAt } = allowance;
    this.#changes.inBackground(
      this.#changes.record(machine, by, { change: "ended", host, ports, expiresAt, connectionsCut: cut }),
    );
  }
}

interface AllowGiven {
  readonly host: string;
  readonly ports: readonly number[];
  readonly by: string;
  readonly expiresAt: string | null;
}
