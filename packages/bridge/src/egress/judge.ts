import { DenialError, DoorwardError, toDoorwardError, type EgressAllowance } from "@doorward/contracts";
import type { Activity } from "./activity.ts";
import { readHost } from "./addresses.ts";
import type { AskedPlace, Asking, AskingHow } from "./asking.ts";
import { rulesOf, type EgressPolicy, type KnownMachine } from "./machine-rules.ts";
import type { EgressTarget } from "./ports.ts";
import { deniedBy, isLocal, shownHost, special, unknown } from "./refusals.ts";
import { decide, type EffectiveRule, type EffectiveRules } from "./rules.ts";

/** What is judged with. */
export interface JudgeOptions {
  readonly policy: EgressPolicy;
  /** A machine that runs; undefined for any other. */
  readonly machine: (id: string) => KnownMachine | undefined;
  readonly allowances: (machineId: string) => readonly EgressAllowance[];
  readonly activity: Activity;
  readonly asking: Asking;
}

/** A target that may be reached now: its one normal form, the rule, and whether somebody was asked for it. */
export interface Judgement {
  readonly host: string;
  readonly rule: EffectiveRule;
  readonly asked: boolean;
}

/** Judges what a machine may reach by the rules in force, and asks the operator about what no rule names. */
export class Judge {
  readonly #options: JudgeOptions;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** The rules in force for a machine. */
  rules(machine: KnownMachine): EffectiveRules {
    return rulesOf(machine, this.#options.policy, this.#options.allowances(machine.id));
  }

  /** The machine of a target, while it runs. MACHINE_NOT_RUNNING. */
  machine({ machine }: EgressTarget): KnownMachine {
    const known = this.#options.machine(machine.id);
    if (known !== undefined) return known;
    throw new DoorwardError({
      code: "MACHINE_NOT_RUNNING",
      message: `Cannot reach anything from "${machine.name}": it does not run`,
    });
  }

  /** Judges a target; where no rule names it, programs wait for the operator as the policy says, an asker always. */
  async judge(target: EgressTarget, signal: AbortSignal, how?: Required<AskingHow>): Promise<Judgement> {
    const machine = this.machine(target);
    const rules = this.rules(machine);
    const host = nameOf(target, rules);
    const rule = ruled(target, host, rules);
    if (rule !== null) return { host, rule, asked: false };
    if (readHost(host).kind !== "name" || isLocal(host)) throw special(target, "it is a name for local use");
    await this.#ask(machine, target, { host, port: target.port }, signal, how);
    return { host, rule: this.still(target, host), asked: true };
  }

  /** The rule that allows a host which was judged before, now. Throws like {@link judge}. */
  still(target: EgressTarget, host: string): EffectiveRule {
    const machine = this.machine(target);
    const rule = ruled(target, host, this.rules(machine));
    if (rule === null) throw unknown(target, host, machine);
    return rule;
  }

  async #ask(
    machine: KnownMachine,
    target: EgressTarget,
    place: AskedPlace,
    signal: AbortSignal,
    how: AskingHow = { seconds: this.rules(machine).askSeconds },
  ): Promise<void> {
    const { asking, activity } = this.#options;
    if (how.seconds === 0) throw unknown(target, place.host, machine);
    if (!asking.wouldAsk(machine, place, how.asker)) {
      throw unknown(target, place.host, machine, how.asker === undefined ? undefined : notAgain());
    }
    activity.change(machine.id, place.host, place.port, (row) => (row.decision = "asked"));
    try {
      await asking.wait(machine, place, how, signal);
    } catch (thrown) {
      const error = toDoorwardError(thrown);
      if (error.code !== "APPROVAL_DENIED" && error.code !== "RATE_LIMITED") throw error;
      throw unknown(target, place.host, machine, error);
    }
  }
}

function ruled(target: EgressTarget, host: string, rules: EffectiveRules): EffectiveRule | null {
  const verdict = decide(rules, host, target.port);
  if (verdict.kind === "denied") throw deniedBy(target, host, verdict.pattern);
  return verdict.kind === "allowed" ? verdict.rule : null;
}

/** The one normal form of what was asked for: a name, or an address that a rule may name as such. */
function nameOf(target: EgressTarget, { rules }: EffectiveRules): string {
  const asked = readHost(target.host);
  if (asked.kind === "invalid") {
    throw new DenialError({
      code: "EGRESS_DENIED",
      rule: "egress.guard",
      message: `Cannot reach ${shownHost(target)}: ${asked.why}`,
    });
  }
  if (asked.kind === "name") {
    const internal = rules.some((rule) => rule.ranges !== null);
    if (!asked.local || internal) return asked.name;
    throw special(target, "it is a name for local use");
  }
  const named = rules.some(({ host, ranges }) => ranges !== null && host === asked.address);
  if (asked.plain && asked.address !== null && named) return asked.address;
  throw special(target, "hosts are reached by name, not by address");
}

function notAgain(): DoorwardError {
  return new DoorwardError({
    code: "RATE_LIMITED",
    message: "it was refused a moment ago, or too much is asked for already",
  });
}
