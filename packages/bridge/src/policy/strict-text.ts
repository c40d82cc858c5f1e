import { DoorwardError } from "@doorward/contracts";
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

/** Largest text of a policy file or of an interface document, in bytes. */
export const POLICY_BYTES = 262_144;

const NESTING = 32;

/** Something wrong with one field of a text. */
export interface FieldProblem {
  readonly path: readonly (string | number)[];
  readonly what: string;
  /** Code of the error when this problem comes first; `POLICY_INVALID` when absent. */
  readonly code?: "DOOR_NOT_BUILT";
}

/** A file whose text is read, and the word for what it is. */
export interface TextSource {
  readonly file: string;
  readonly what: "policy" | "document";
}

interface Place {
  readonly line: number;
  readonly col: number;
}

/** A strictly read YAML or JSON text: no aliases, anchors, tags, merge keys or double keys; one document. */
export class StrictText {
  readonly document: Document;
  readonly value: unknown;
  readonly #source: TextSource;
  readonly #lines: LineCounter;

  /** Throws `POLICY_INVALID` with line and column of what is not accepted. */
  constructor(text: string, source: TextSource) {
    this.#source = source;
    this.#lines = new LineCounter();
    this.document = parseYaml(text, source, this.#lines);
    this.value = this.document.toJS({ maxAliasCount: 0 });
  }

  /** The error for what is wrong with its fields: the first problem in the message, the others in the details. */
  invalid(
    problems: readonly FieldProblem[],
    code: "POLICY_INVALID" | "DOOR_NOT_BUILT" = problems[0]?.code ?? "POLICY_INVALID",
  ): DoorwardError {
    const { file } = this.#source;
    const found = problems.map((problem) => ({
      ...problem,
      ...placeOf(this.document, problem.path, this.#lines),
    }));
    const [first = { path: [], what: "it is not valid", line: 1, col: 1 }] = found;
    return new DoorwardError({
      code,
      message: sentence(this.#source, first.what, first, first.path),
      hint: `\${EDITOR:-vi} +${first.line} '${file}'`,
      details: {
        file,
        problems: found.slice(0, 20).map((each) => ({ ...each, path: fieldName(each.path) })),
      },
    });
  }
}

function parseYaml(text: string, source: TextSource, lines: LineCounter): Document {
  const document = readDocument(text, source, lines);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const what = problem.message.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? problem.code;
    throw invalid(source, what, lines.linePos(problem.pos[0]));
  }
  refuseIndirection(document, source, lines);
  return document;
}

function readDocument(text: string, source: TextSource, lines: LineCounter): Document {
  if (Buffer.byteLength(text) > POLICY_BYTES)
    throw invalid(source, `it is larger than ${POLICY_BYTES} bytes`);
  const options = { version: "1.2", schema: "core", strict: true, uniqueKeys: true, merge: false } as const;
  try {
    return parseDocument(text, { ...options, stringKeys: true, lineCounter: lines });
  } catch (error) {
    // Deeply nested text exhausts the parser's stack.
    throw invalid(source, `it can't be parsed (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** Aliases make a small file large, tags make a value something else than it looks; neither has a use here. */
function refuseIndirection(document: Document, source: TextSource, lines: LineCounter): void {
  visit(document, (_key, node, path) => {
    if (!isNode(node)) return;
    const at = lines.linePos(node.range?.[0] ?? 0);
    if (path.length > NESTING * 2) throw invalid(source, "it is nested too deeply", at);
    if (isAlias(node)) throw invalid(source, "aliases are not accepted", at);
    if (isScalar(node) || isCollection(node) ? node.anchor : undefined)
      throw invalid(source, "anchors are not accepted", at);
    if (node.tag !== undefined && !STANDARD_TAGS.test(node.tag)) {
      throw invalid(source, `the tag "${node.tag}" is not accepted`, at);
    }
  });
}

const STANDARD_TAGS = /^tag:yaml\.org,2002:(?:map|seq|str|int|float|bool|null)$/;

/** A misspelt field comes first: it is why another one is missing. */
export function schemaProblems(issues: readonly z.core.$ZodIssue[]): FieldProblem[] {
  const rank = (issue: z.core.$ZodIssue): number => (issue.code === "unrecognized_keys" ? 0 : 1);
  return issues.toSorted((one, other) => rank(one) - rank(other)).map(schemaProblem);
}

function schemaProblem(issue: z.core.$ZodIssue): FieldProblem {
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

function sentence(source: TextSource, what: string, at: Place, path: readonly (string | number)[]): string {
  const field = path.length === 0 ? "" : ` ${fieldName(path)}:`;
  return `Cannot read ${source.what} "${source.file}": ${at.line}:${at.col}:${field} ${what}`;
}

function invalid(source: TextSource, what: string, at: Place = { line: 1, col: 1 }): DoorwardError {
  return new DoorwardError({
    code: "POLICY_INVALID",
    message: sentence(source, what, at, []),
    hint: `\${EDITOR:-vi} +${at.line} '${source.file}'`,
    details: { file: source.file, problems: [{ path: "", what, ...at }] },
  });
}
