import type { CommandPlan, FileChange } from "./ports.ts";

/** Longest piece of a line: when each character has to be escaped it still can be shown as a whole. */
const PIECE = 300;

/** Text of an asker as one JSON string, so that it can't pass for lines of ours. */
export function quotedLines(label: string, text: string): string[] {
  return inPieces(`${label}: ${JSON.stringify(text)}`);
}

/** A long line as several; nothing is left out. */
export function inPieces(line: string): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < line.length || pieces.length === 0;) {
    let end = Math.min(line.length, at + PIECE);
    const last = line.charCodeAt(end - 1);
    if (end < line.length && last >= 0xd800 && last <= 0xdbff) end -= 1;
    pieces.push(pieces.length === 0 ? line.slice(at, end) : `  … ${line.slice(at, end)}`);
    at = end;
  }
  return pieces;
}

/** Everything that running a command means. */
export function commandLines(plan: CommandPlan, requested: Readonly<Record<string, string>>): string[] {
  const { program, command, args, cwd, env, timeoutMs, input, effect } = plan;
  const inherited = Object.keys(env).filter((key) => !Object.hasOwn(requested, key));
  return [
    ...inPieces(`program: ${command}${program.path === command ? "" : ` (is ${program.path})`}`),
    `  ${program.digest ?? "of unknown content"}, ${effect === "read" ? "only reads" : "may change things"}`,
    ...args.flatMap((arg, at) => inPieces(`  argument ${at + 1}: ${JSON.stringify(arg)}`)),
    ...inPieces(`  folder: ${cwd.path}`),
    ...Object.entries(requested).flatMap(([key, value]) =>
      inPieces(`  asked for: ${key}=${JSON.stringify(value)}`),
    ),
    ...inPieces(`  environment: ${numbered(inherited.sort()).join(" ")}`),
    `  ended after ${timeoutMs} ms`,
    ...inputLines(input),
  ];
}

/** Everything that a plan changes in files. */
export function changeLines(changes: readonly FileChange[]): string[] {
  return changes.flatMap(({ operation, path, to, preview }) => [
    ...inPieces(`${operation} ${path}${to === null ? "" : ` to ${to}`}`),
    ...preview.split("\n").flatMap((line) => inPieces(`  ${line}`)),
  ]);
}

/** Names that count up from 0 as one, e.g. `GIT_CONFIG_KEY_0..19`; they say no more than that. */
function numbered(names: readonly string[]): string[] {
  const given = new Set(names);
  const countOf = (stem: string): number => {
    let count = 0;
    while (given.has(`${stem}${count}`)) count += 1;
    return count;
  };
  return names.flatMap((name) => {
    const [, stem, at] = /^(.*_)([0-9]{1,4})$/.exec(name) ?? [];
    if (stem === undefined || at === undefined) return [name];
    const count = countOf(stem);
    if (count < 3 || Number(at) >= count || String(Number(at)) !== at) return [name];
    return at === "0" ? [`${stem}0..${count - 1}`] : [];
  });
}

function inputLines(input: Buffer | null): string[] {
  if (input === null) return [];
  const text = input.toString("utf8");
  const shown = Buffer.from(text).equals(input) ? JSON.stringify(text) : `base64 ${input.toString("base64")}`;
  return inPieces(`  standard input, ${input.length} bytes: ${shown}`);
}
