import { isDeepStrictEqual } from "node:util";
import { parse, stringify } from "smol-toml";
import { isHollow, UnreadableConfig, valueAt, type ConfigEntry, type ConfigFormat } from "./config-format.ts";

/**
 * TOML, edited as text: our tables are a section between two marks at the end, everything else stays to the letter. The
 * file is parsed before and after, so that a section which means more or less than its entry is never written.
 */
export const TOML_CONFIG: ConfigFormat = {
  name: "TOML",
  get: (text, path) => valueAt(read(text), path),
  set: (text, path, entry) => {
    const rest = without(text, path);
    if (valueAt(read(rest), path) !== undefined)
      throw new UnreadableConfig(`[${path.join(".")}] stands outside the section of Doorward`);
    const gap = rest === "" || rest.endsWith("\n\n") ? "" : rest.endsWith("\n") ? "\n" : "\n\n";
    const after = `${rest}${gap}${section(path, entry)}`;
    if (isDeepStrictEqual(plain(valueAt(read(after), path)), plain(entry))) return after;
    throw new UnreadableConfig(`[${path.join(".")}] would not mean what it should there`);
  },
  remove: (text, path) => {
    read(text);
    const rest = without(text, path);
    if (valueAt(read(rest), path) === undefined) return rest;
    throw new UnreadableConfig(`[${path.join(".")}] stands outside the section of Doorward`);
  },
  isEmpty: (text) => text.trim() === "" && isHollow(read(text)),
};

function section(path: readonly string[], entry: ConfigEntry): string {
  const table = [...path].reverse().reduce<unknown>((value, key) => ({ [key]: value }), entry);
  const text = stringify(table).trimEnd();
  return `${beginMark(path)}\n${text}\n${endMark(path)}\n`;
}

function without(text: string, path: readonly string[]): string {
  const from = lineOf(text, beginMark(path), 0);
  if (from < 0) return text;
  const end = lineOf(text, endMark(path), from);
  if (end < 0) throw new UnreadableConfig(`the line "${endMark(path)}" is missing`);
  const after = text.slice(end + endMark(path).length).replace(/^\r?\n/, "");
  const before = text.slice(0, from);
  return after === "" ? before.replace(/\n\n$/, "\n") : before + after;
}

/** Where a line is exactly this text; -1 for nowhere. */
function lineOf(text: string, line: string, from: number): number {
  for (let at = text.indexOf(line, from); at >= 0; at = text.indexOf(line, at + 1)) {
    const next = text[at + line.length];
    if ((at === 0 || text[at - 1] === "\n") && (next === undefined || next === "\n" || next === "\r"))
      return at;
  }
  return -1;
}

function beginMark(path: readonly string[]): string {
  return `# Doorward: ${path.join(".")} (begin); taken back by doorward connect --remove`;
}

function endMark(path: readonly string[]): string {
  return `# Doorward: ${path.join(".")} (end)`;
}

function read(text: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    const [what = "it is not TOML"] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
    throw new UnreadableConfig(what.trim());
  }
}

/** Without the parser's own prototypes. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
