import { posix } from "node:path";
import { AGENT_TOOLS } from "@doorward/contracts";
import type { Tool } from "./tool.ts";

/** How a call is made, what it may be made on, and why: none of it changes what the call does. */
const BESIDE = new Set(["timeout_seconds", "background", "if_digest", "create_only", "reason"]);

/**
 * What a call does, by its arguments: without defaults that are written out, spellings of one path, and what only says how
 * or why. Two calls of one meaning do the same; what does the same in other words, as a shell can, has another.
 */
export function meaningOf(tool: Tool, input: Readonly<Record<string, unknown>>, workdir: string): unknown {
  const inMachine = AGENT_TOOLS[tool.name].effect !== "acts";
  const spelled = Object.entries(input).map(([name, value]): [string, unknown] => {
    if (inMachine && (name === "path" || name === "cwd") && typeof value === "string") {
      const path = posix.resolve(workdir, value);
      return [name, name === "cwd" && path === workdir ? undefined : path];
    }
    return [name, name === "command" && typeof value === "string" ? trimmed(value) : value];
  });
  return withoutDefaults(Object.fromEntries(spelled.filter(([name]) => !BESIDE.has(name))));
}

/**
 * A command line without white space that no shell looks at: around it, and where nothing is quoted also more than one blank
 * between words. What a backslash keeps at its end stays.
 */
function trimmed(command: string): string {
  const short = command.trim();
  if (!/["'`\\\n\r]/.test(short)) return short.replace(/[ \t]+/g, " ");
  return short.endsWith("\\") ? command.trimStart() : short;
}

/** Without flags that are off, and without what is empty: all of them are the same as absent. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, inner]) => inner !== false && !isEmpty(inner));
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutDefaults(inner)]));
}

function isEmpty(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  );
}
