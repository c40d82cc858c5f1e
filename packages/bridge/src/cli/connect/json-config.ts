import {
  findNodeAtLocation,
  parse,
  parseTree,
  printParseErrorCode,
  type Node,
  type ParseError,
} from "jsonc-parser";
import { isHollow, keptKeys, UnreadableConfig, valueAt, type ConfigFormat } from "./config-format.ts";

const READING = { allowTrailingComma: true, allowEmptyContent: true } as const;

/**
 * JSON with comments and trailing commas. Only the entry's own text is touched: the edits of the parser's library would
 * lay out its neighbours anew. JSON5 beyond that is refused.
 */
export const JSON_CONFIG: ConfigFormat = {
  name: "JSON",
  get: (text, path) => valueAt(read(text), path),
  set: (text, path, entry) => {
    read(text);
    return put(text.trim() === "" ? "{}\n" : text, path, entry);
  },
  remove: (text, path, prune) => {
    const without = take(text, path);
    const kept = keptKeys(read(without), path);
    return prune && kept < path.length - 1 ? take(without, path.slice(0, kept + 1)) : without;
  },
  isEmpty: (text) => isHollow(read(text)),
};

function put(text: string, path: readonly string[], entry: unknown): string {
  const root = treeOf(text);
  const present = findNodeAtLocation(root, [...path]);
  if (present !== undefined) {
    const shown = pretty(entry, lineIndent(text, present.offset), unitOf(text));
    return splice(text, present.offset, present.offset + present.length, shown);
  }
  let depth = path.length - 1;
  while (depth > 0 && findNodeAtLocation(root, path.slice(0, depth)) === undefined) depth -= 1;
  const parent = depth === 0 ? root : findNodeAtLocation(root, path.slice(0, depth));
  if (parent?.type !== "object")
    throw new UnreadableConfig(`"${path.slice(0, depth).join(".")}" is not an object`);
  const inner = path.slice(depth + 1).reduceRight<unknown>((value, key) => ({ [key]: value }), entry);
  return insert(text, parent, path[depth] ?? "", inner);
}

/** As the last property, laid out like those before it. */
function insert(text: string, parent: Node, key: string, value: unknown): string {
  const [last, unit] = [parent.children?.at(-1), unitOf(text)];
  const outer = lineIndent(text, parent.offset);
  const indent = last === undefined ? outer + unit : (ownLineIndent(text, last.offset) ?? outer + unit);
  const property = `\n${indent}${JSON.stringify(key)}: ${pretty(value, indent, unit)}`;
  if (last === undefined) {
    const end = parent.offset + parent.length - 1;
    const inside = text.slice(parent.offset + 1, end).trimEnd();
    return splice(text, parent.offset + 1, end, `${inside}${property}\n${outer}`);
  }
  const comma = trailingComma(text, last, parent);
  if (comma !== undefined) return splice(text, comma + 1, comma + 1, `${property},`);
  const end = last.offset + last.length;
  return splice(text, end, end, `,${property}`);
}

function take(text: string, path: readonly string[]): string {
  const value = findNodeAtLocation(treeOf(text), [...path]);
  const property = value?.parent;
  const parent = property?.parent;
  if (property === undefined || parent?.children === undefined) return text;
  const at = parent.children.indexOf(property);
  const [before, after] = [parent.children[at - 1], parent.children[at + 1]];
  const end = property.offset + property.length;
  const comma = after === undefined ? trailingComma(text, property, parent) : commaAfter(text, property);
  if (before !== undefined) {
    const from = comma === undefined ? before.offset + before.length : commaAfter(text, before) + 1;
    return splice(text, from, comma === undefined ? end : comma + 1, "");
  }
  if (after !== undefined && comma !== undefined) return splice(text, parent.offset + 1, comma + 1, "");
  const close = parent.offset + parent.length - 1;
  return splice(text, parent.offset + 1, close, "");
}

/** Where the comma after the last property is; undefined when there is none. */
function trailingComma(text: string, last: Node, parent: Node): number | undefined {
  const from = last.offset + last.length;
  const rest = blanked(text.slice(from, parent.offset + parent.length - 1));
  const at = rest.indexOf(",");
  return at < 0 ? undefined : from + at;
}

function commaAfter(text: string, node: Node): number {
  const from = node.offset + node.length;
  return from + blanked(text.slice(from)).indexOf(",");
}

/** Comments as spaces, so that what is in them is not taken for punctuation. */
function blanked(text: string): string {
  return text.replace(/\/\/[^\n]*|\/\*[^]*?\*\//g, (comment) => " ".repeat(comment.length));
}

function pretty(value: unknown, indent: string, unit: string): string {
  return JSON.stringify(value, null, unit).replaceAll("\n", `\n${indent}`);
}

function unitOf(text: string): string {
  return /^([ \t]+)"/m.exec(text)?.[1] ?? "  ";
}

/** White space at the start of the line that a position is in. */
function lineIndent(text: string, at: number): string {
  const line = text.slice(text.lastIndexOf("\n", at - 1) + 1, at);
  return /^[ \t]*/.exec(line)?.[0] ?? "";
}

/** The same when nothing else stands before the position in its line. */
function ownLineIndent(text: string, at: number): string | undefined {
  const line = text.slice(text.lastIndexOf("\n", at - 1) + 1, at);
  return text.lastIndexOf("\n", at - 1) >= 0 && line.trim() === "" ? line : undefined;
}

function splice(text: string, from: number, to: number, by: string): string {
  return text.slice(0, from) + by + text.slice(to);
}

function treeOf(text: string): Node {
  const tree = parseTree(text, [], READING);
  if (tree === undefined) throw new UnreadableConfig("it is empty");
  return tree;
}

function read(text: string): unknown {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, READING);
  const [error] = errors;
  if (error !== undefined) {
    const line = text.slice(0, error.offset).split("\n").length;
    throw new UnreadableConfig(`line ${line}: ${printParseErrorCode(error.error)}`);
  }
  if (value !== undefined && (typeof value !== "object" || value === null || Array.isArray(value)))
    throw new UnreadableConfig("it is not an object");
  return value;
}
