import { DoorwardError, Policy } from "@doorward/contracts";
import {
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type Document,
} from "yaml";
import type * as z from "zod";
import { policyProblems, type PolicyProblem } from "./check-policy.ts";

/** Largest policy file, in bytes. */
export const POLICY_BYTES = 262_144;

const NESTING = 32;

/** A policy file that was read: its content, and the document that edits keep comments with. */
export interface ParsedPolicy {
  readonly policy: Policy;
  readonly document: Document;
}

interface Place {
  readonly line: number;
  readonly col: number;
}

/** Reads the text of a policy file; throws `POLICY_INVALID` with line, column and field of the first problem. */
export function parsePolicy(text: string, file: string): ParsedPolicy {
  const lines = new LineCounter();
  const document = parseYaml(text, file, lines);
  const value: unknown = document.toJS({ maxAliasCount: 0 });
  const result = Policy.safeParse(value);
  const problems = result.success ? policyProblems(result.data) : schemaProblems(result.error.issues);
  const [first] = problems;
  if (first === undefined && result.success) return { policy: result.data, document };
  const found = problems.map((problem) => ({ ...problem, ...placeOf(document, problem.path, lines) }));
  throw new DoorwardError({
    code: "POLICY_INVALID",
    message: found
      .slice(0, 1)
      .map(({ path, what, line, col }) => sentence(file, what, { line, col }, path))
      .join(""),
    hint: `\${EDITOR:-vi} +${found[0]?.line ?? 1} '${file}'`,
    details: { file, problems: found.slice(0, 20).map((each) => ({ ...each, path: fieldName(each.path) })) },
  });
}

function parseYaml(text: string, file: string, lines: LineCounter): Document {
  const document = readDocument(text, file, lines);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const what = problem.message.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? problem.code;
    throw invalid(file, what, lines.linePos(problem.pos[0]));
  }
  refuseIndirection(document, file, lines);
  return document;
}

function readDocument(text: string, file: string, lines: LineCounter): Document {
  if (Buffer.byteLength(text) > POLICY_BYTES) throw invalid(file, `it is larger than ${POLICY_BYTES} bytes`);
  const options = { version: "1.2", schema: "core", strict: true, uniqueKeys: true, merge: false } as const;
  try {
    return parseDocument(text, { ...options, stringKeys: true, lineCounter: lines });
  } catch (error) {
    // Deeply nested text exhausts the parser's stack.
    throw invalid(file, `it can't be parsed (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** Aliases make a small file large, tags make a value something else than it looks; neither has a use here. */
function refuseIndirection(document: Document, file: string, lines: LineCounter): void {
  visit(document, (_key, node, path) => {
    if (!isNode(node)) return;
    const at = lines.linePos(node.range?.[0] ?? 0);
    if (path.length > NESTING * 2) throw invalid(file, "it is nested too deeply", at);
    if (isAlias(node)) throw invalid(file, "aliases are not accepted", at);
    if (isScalar(node) || isCollection(node) ? node.anchor : undefined)
      throw invalid(file, "anchors are not accepted", at);
    if (node.tag !== undefined && !STANDARD_TAGS.test(node.tag)) {
      throw invalid(file, `the tag "${node.tag}" is not accepted`, at);
    }
  });
}

const STANDARD_TAGS = /^tag:yaml\.org,2002:(?:map|seq|str|int|float|bool|null)$/;

/** A misspelt field comes first: it is why another one is missing. */
function schemaProblems(issues: readonly z.core.$ZodIssue[]): PolicyProblem[] {
  const rank = (issue: z.core.$ZodIssue): number => (issue.code === "unrecognized_keys" ? 0 : 1);
  return issues.toSorted((one, other) => rank(one) - rank(other)).map(schemaProblem);
}

function schemaProblem(issue: z.core.$ZodIssue): PolicyProblem {
  const path = issue.path.map((key) => (typeof key === "number" ? key : String(key)));
  if (issue.code !== "unrecognized_keys") return { path, what: issue.message };
  const [key = ""] = issue.keys;
  return { path: [...path, key], what: `unknown field "${key}"` };
}

/** Where a field stands; of a missing one, where its nearest parent stands. */
function placeOf(document: Document, path: readonly (string | number)[], lines: LineCounter): Place {
  for (let length = path.length; length > 0; length -= 1) {
    const offset = keyOffset(document, path.slice(0, length));
    if (offset !== null) return lines.linePos(offset);
  }
  return { line: 1, col: 1 };
}

function keyOffset(document: Document, path: readonly (string | number)[]): number | null {
  const parent = path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents;
  const last = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === last);
    return pair !== undefined && isNode(pair.key) ? (pair.key.range?.[0] ?? null) : null;
  }
  const node = document.getIn(path, true);
  return isNode(node) ? (node.range?.[0] ?? null) : null;
}

function fieldName(path: readonly (string | number)[]): string {
  return path.reduce<string>((name, key) => {
    if (typeof key === "number") return `${name}[${key}]`;
    return name === "" ? key : `${name}.${key}`;
  }, "");
}

function sentence(file: string, what: string, at: Place, path: readonly (string | number)[]): string {
  const field = path.length === 0 ? "" : ` ${fieldName(path)}:`;
  return `Cannot read policy "${file}": ${at.line}:${at.col}:${field} ${what}`;
}

function invalid(file: string, what: string, at: Place = { line: 1, col: 1 }): DoorwardError {
  return new DoorwardError({
    code: "POLICY_INVALID",
    message: sentence(file, what, at, []),
    hint: `\${EDITOR:-vi} +${at.line} '${file}'`,
    details: { file, problems: [{ path: "", what, ...at }] },
  });
}
