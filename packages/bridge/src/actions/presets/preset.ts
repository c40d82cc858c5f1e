import type { ArgumentValue, CommandRule, FlagRule, ProcessScope } from "@doorward/contracts";

/** A command line that a preset refuses, and why. */
export interface RefusedLine {
  readonly line: string;
  readonly why: string;
}

/** A ready process scope of one tool, with what it is for and what it deliberately leaves out. */
export interface PresetSpec {
  readonly summary: string;
  /** Usual places of the tool's programs. */
  readonly places: readonly string[];
  readonly scope: Omit<ProcessScope, "id" | "executables" | "cwdRoots" | "pathRoots" | "confirm">;
  /** Places in a home folder where the tool's configuration makes it run code or choose far sides. */
  readonly configuration: readonly string[];
  /** Command lines that pass, without the program's name. */
  readonly examples: readonly string[];
  readonly refused: readonly RefusedLine[];
}

type Part = Partial<Omit<CommandRule, "words" | "effect">>;

/** A word: letters, digits and . _ - */
export const WORD: ArgumentValue = { kind: "word" };

/** The usual places of programs: what distributions, installers and Homebrew use. */
export function usualPlaces(...programs: readonly string[]): readonly string[] {
  return ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].flatMap((folder) =>
    programs.map((program) => `${folder}/${program}`),
  );
}

/** A command that only reads. */
export function read(words: string, part: Part = {}): CommandRule {
  return { words: split(words), effect: "read", ...part };
}

/** A command that changes something, so that a person confirms it whatever the policy says. */
export function write(words: string, part: Part = {}): CommandRule {
  return { words: split(words), effect: "write", confirm: "always", ...part };
}

/** Flags without a value, by all spellings: `-a --all`. */
export function switches(...spellings: readonly string[]): FlagRule[] {
  return spellings.map((names) => ({ names: split(names) }));
}

/** A flag with a value. */
export function valued(
  spelling: string,
  value: ArgumentValue,
  more: Partial<Pick<FlagRule, "repeat" | "form">> = {},
): FlagRule {
  return { names: split(spelling), value, ...more };
}

/** One of some words. */
export function oneOf(words: string): ArgumentValue {
  return { kind: "one-of", values: split(words) };
}

/** A whole number. */
export function integer(min: number, max: number): ArgumentValue {
  return { kind: "integer", min, max };
}

/** What a pattern matches as a whole. */
export function match(pattern: string, what: string): ArgumentValue {
  return { kind: "match", pattern, what };
}

/** Exactly as many operands, or a range of them. */
export function operands(
  min: number,
  max: number,
  value: ArgumentValue = WORD,
  first?: readonly ArgumentValue[],
): Part {
  return { operands: { min, max, value, ...(first === undefined ? {} : { first: [...first] }) } };
}

/** Refused command lines with one reason. */
export function refuse(why: string, ...lines: readonly string[]): RefusedLine[] {
  return lines.map((line) => ({ line, why }));
}

/** The words of a command line; presets need no quoting. */
function split(words: string): string[] {
  return words.split(" ").filter((word) => word !== "");
}
