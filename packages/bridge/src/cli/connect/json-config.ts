import { applyEdits, modify, parse, printParseErrorCode, type ParseError } from "jsonc-parser";
import { isHollow, keptKeys, UnreadableConfig, valueAt, type ConfigFormat } from "./config-format.ts";

const READING = { allowTrailingComma: true, allowEmptyContent: true } as const;

/** JSON with comments and trailing commas, which stay. JSON5 beyond that is refused. */
export const JSON_CONFIG: ConfigFormat = {
  name: "JSON",
  get: (text, path) => valueAt(read(text), path),
  set: (text, path, entry) => edit(text, path, entry),
  remove: (text, path, prune) => {
    const without = edit(text, path, undefined);
    const kept = keptKeys(read(without), path);
    const hollow = prune && kept < path.length - 1;
    return hollow ? edit(without, path.slice(0, kept + 1), undefined) : without;
  },
  isEmpty: (text) => isHollow(read(text)),
};

function edit(text: string, path: readonly string[], value: unknown): string {
  read(text);
  const formattingOptions = { insertSpaces: !/^\t/m.test(text), tabSize: indentOf(text), eol: "\n" };
  const source = text.trim() === "" ? "{}\n" : text;
  return applyEdits(source, modify(source, [...path], value, { formattingOptions }));
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

function indentOf(text: string): number {
  return /^( +)"/m.exec(text)?.[1]?.length ?? 2;
}
