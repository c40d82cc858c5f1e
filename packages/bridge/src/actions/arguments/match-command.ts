import { ACTION_LIMITS, type CommandRule, type FlagRule, type ProcessScope } from "@doorward/contracts";
import { quoted } from "../scopes/violation.ts";
import { notAllowed, wrongList } from "./argument-problem.ts";
import { checkValue } from "./check-value.ts";

/** A path among the arguments, whose place is still to be judged. */
export interface PathArgument {
  readonly argument: string;
  readonly path: string;
}

/** The rule that an argument list follows, and the paths in it. */
export interface MatchedCommand {
  readonly rule: CommandRule;
  readonly paths: readonly PathArgument[];
}

/** What of a process scope decides about arguments. */
export type ArgumentPolicy = Pick<ProcessScope, "commands" | "globalFlags" | "interspersed">;

/**
 * Matches an argument list against the commands of a scope, or throws an ArgumentRefusal. It reads no list as its program
 * would: it accepts only the forms that are declared letter by letter, which the program's own parser can read in one way.
 * So abbreviated long flags, joined short flags, `-xVALUE`, `@file` and whatever else a parser is kind enough to
 * understand are refused without being known here.
 */
export function matchCommand(
  args: readonly string[],
  policy: ArgumentPolicy,
  program: string,
): MatchedCommand {
  checkForm(args);
  const rules = policy.commands.filter(({ programs }) => programs?.includes(program) ?? true);
  return new ArgumentReader(args, policy).read(rules);
}

function checkForm(args: readonly string[]): void {
  if (args.length > ACTION_LIMITS.arguments)
    throw wrongList(`${args.length} arguments are more than ${ACTION_LIMITS.arguments}`);
  for (const argument of args) {
    if (Buffer.byteLength(argument) > ACTION_LIMITS.argumentBytes)
      throw notAllowed(argument, `an argument is longer than ${ACTION_LIMITS.argumentBytes} bytes`);
    if (/[\u0000-\u001f\u007f]/.test(argument) || /\p{Surrogate}/u.test(argument))
      throw notAllowed(argument, `${quoted(argument)} has a control character or half a character in it`);
  }
}

class ArgumentReader {
  readonly #args: readonly string[];
  readonly #policy: ArgumentPolicy;
  readonly #counts = new Map<FlagRule, number>();
  readonly #paths: PathArgument[] = [];
  #at = 0;

  constructor(args: readonly string[], policy: ArgumentPolicy) {
    this.#args = args;
    this.#policy = policy;
  }

  read(rules: readonly CommandRule[]): MatchedCommand {
    const globals = flagTable(this.#policy.globalFlags ?? []);
    const bare = rules.find(({ words }) => words.length === 0);
    while (this.#rest().length > 0 && this.#ruleHere(rules) === undefined) {
      if (!this.#flag(globals)) break;
    }
    const rule = this.#ruleHere(rules) ?? bare;
    if (rule === undefined) throw this.#unknownCommand();
    this.#at += rule.words.length;
    this.#tail(rule, globals);
    return { rule, paths: this.#paths };
  }

  #rest(): readonly string[] {
    return this.#args.slice(this.#at);
  }

  /** The rule with the most words that stand here; one of no words is for when there is none. */
  #ruleHere(rules: readonly CommandRule[]): CommandRule | undefined {
    const here = rules.filter(
      ({ words }) => words.length > 0 && words.every((word, index) => this.#args[this.#at + index] === word),
    );
    return here.reduce<CommandRule | undefined>(
      (best, rule) => (best !== undefined && best.words.length >= rule.words.length ? best : rule),
      undefined,
    );
  }

  #unknownCommand(): Error {
    const word = this.#args[this.#at];
    if (word === undefined) return wrongList("the arguments name no command");
    const what = word.startsWith("-") ? "is no flag that may stand there" : "is no command of the scope";
    return notAllowed(word, `${quoted(word)} ${what}`);
  }

  #tail(rule: CommandRule, globals: ReadonlyMap<string, FlagRule>): void {
    const own = flagTable(rule.flags ?? []);
    const flags = this.#policy.interspersed === true ? new Map([...globals, ...own]) : own;
    let operands = 0;
    let separated = false;
    while (this.#at < this.#args.length) {
      const argument = this.#args[this.#at] ?? "";
      if (argument === "--" && rule.separator === true && !separated) {
        separated = true;
        this.#at += 1;
      } else if (argument.startsWith("-")) {
        const open = !separated && (operands === 0 || this.#policy.interspersed === true);
        if (!open || !this.#flag(flags)) throw flagRefused(argument, open);
      } else {
        this.#operand(rule, argument, operands);
        operands += 1;
      }
    }
    const fewest = rule.operands?.min ?? 0;
    if (operands < fewest) throw wrongList(`${operands} operands are fewer than ${fewest}`);
  }

  /** Reads one flag with its value; false when there is none of this spelling. */
  #flag(table: ReadonlyMap<string, FlagRule>): boolean {
    const argument = this.#args[this.#at] ?? "";
    const equals = argument.indexOf("=");
    const name = equals < 0 ? argument : argument.slice(0, equals);
    const flag = table.get(name);
    if (flag === undefined) return false;
    this.#count(flag, argument);
    this.#at += 1;
    const joined = equals < 0 ? null : argument.slice(equals + 1);
    const text = this.#flagValue(flag, name, argument, joined);
    if (text === null || flag.value === undefined) return true;
    checkValue(text, flag.value, text === joined ? argument : text, `the value of ${name},`);
    if (flag.value.kind === "path")
      this.#paths.push({ argument: joined === null ? text : argument, path: text });
    return true;
  }

  #flagValue(flag: FlagRule, name: string, argument: string, joined: string | null): string | null {
    if (flag.value === undefined) {
      if (joined === null) return null;
      throw notAllowed(argument, `${quoted(name)} takes no value`);
    }
    if (joined !== null) {
      if (takesJoined(flag, name)) return joined;
      throw notAllowed(argument, `the value of ${quoted(name)} must be the next argument`);
    }
    if (flag.form === "joined") throw notAllowed(argument, `the value of ${quoted(name)} must follow a =`);
    const next = this.#args[this.#at];
    if (next === undefined) throw notAllowed(argument, `${quoted(name)} lacks its value`);
    this.#at += 1;
    return next;
  }

  #count(flag: FlagRule, argument: string): void {
    const seen = this.#counts.get(flag) ?? 0;
    if (seen > 0 && flag.repeat !== true)
      throw notAllowed(argument, `${quoted(argument)} stands more than once`);
    this.#counts.set(flag, seen + 1);
  }

  #operand(rule: CommandRule, argument: string, index: number): void {
    const { operands } = rule;
    const value = operands?.first?.[index] ?? operands?.value;
    if (operands === undefined || value === undefined || index >= operands.max)
      throw notAllowed(
        argument,
        `${quoted(argument)} is more than ${quoted(rule.words.join(" "))} takes here`,
      );
    checkValue(argument, value, argument, "the operand");
    if (value.kind === "path") this.#paths.push({ argument, path: argument });
    this.#at += 1;
  }
}

/** `-x=value` means "=value" to some parsers and "value" to others, so short names take the next argument. */
function takesJoined(flag: FlagRule, name: string): boolean {
  return flag.form === "joined" || (flag.form === undefined && name.length > 2);
}

function flagTable(flags: readonly FlagRule[]): ReadonlyMap<string, FlagRule> {
  return new Map(flags.flatMap((flag) => flag.names.map((name) => [name, flag] as const)));
}

function flagRefused(argument: string, open: boolean): Error {
  if (argument === "--") return notAllowed(argument, `"--" may not stand there`);
  return notAllowed(
    argument,
    open ? `${quoted(argument)} is no flag of this command` : `${quoted(argument)} stands after the operands`,
  );
}
