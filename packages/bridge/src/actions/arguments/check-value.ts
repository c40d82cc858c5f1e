import type { ArgumentValue } from "@doorward/contracts";
import { quoted } from "../scopes/violation.ts";
import { notAllowed } from "./argument-problem.ts";

/** Longest value of the kinds that name no length of their own; a pattern never sees more. */
const VALUE_LENGTH = 1000;
const NAME = /^[A-Za-z0-9._:/@][A-Za-z0-9._:/@-]*$/;
const WORD = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const INTEGER = /^(?:0|[1-9][0-9]{0,15})$/;

/** What a value must be, for the person who reads a refusal. */
export function valueWords(value: ArgumentValue): string {
  switch (value.kind) {
    case "one-of":
      return `one of ${value.values.join(", ")}`;
    case "integer":
      return `a whole number from ${value.min} to ${value.max}`;
    case "path":
      return "an absolute path within the scope's path roots";
    case "text":
      return `at most ${value.maxLength} characters of text, not starting with a hyphen`;
    case "match":
      return value.what;
    case "name":
      return "a name of letters, digits and . _ : / @ -";
    case "word":
      return "a word of letters, digits and . _ -";
  }
}

/**
 * Checks a value; a path's place is judged apart. No value starts with a hyphen, whatever its kind: a program that reads
 * it as a flag after all, because its own parser sees no value there, finds none.
 */
export function checkValue(text: string, value: ArgumentValue, argument: string, whose: string): void {
  if (text.startsWith("-"))
    throw notAllowed(argument, `${whose} ${quoted(text)} starts with a hyphen, as a flag does`);
  if (fits(text, value)) return;
  throw notAllowed(argument, `${whose} ${quoted(text)} is not ${valueWords(value)}`);
}

function fits(text: string, value: ArgumentValue): boolean {
  if (value.kind === "one-of") return value.values.includes(text);
  if (text === "") return false;
  if (value.kind === "text") return text.length <= value.maxLength;
  // Its form has a code of its own, which path-place.ts knows.
  if (value.kind === "path") return true;
  if (text.length > VALUE_LENGTH) return false;
  switch (value.kind) {
    case "name":
      return NAME.test(text);
    case "word":
      return WORD.test(text);
    case "integer":
      return INTEGER.test(text) && Number(text) >= value.min && Number(text) <= value.max;
    case "match":
      return compiled(value.pattern).test(text);
  }
}

const patterns = new Map<string, RegExp>();

/** A pattern of the policy, anchored at both ends; throws a SyntaxError, which loading the policy has found before. */
export function compiled(pattern: string): RegExp {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  const made = new RegExp(`^(?:${pattern})$`, "u");
  patterns.set(pattern, made);
  return made;
}
