import { DenialError, toDoorwardError } from "@doorward/contracts/errors";
import type { Cli } from "./cli.ts";
import { escapeText } from "@doorward/client/operator";
import { jsonText, type Output } from "./output.ts";

/**
 * Prints an error to stderr (for people: message, rule and hint; with `--json` the problem document in one line) and
 * returns the exit code that belongs to it.
 */
export async function reportError(thrown: unknown, cli: Cli, output: Output): Promise<number> {
  const error = toDoorwardError(thrown);
  if (output.json) {
    const { problemOf } = await import("@doorward/client");
    cli.stderr.write(`${jsonText(problemOf(error))}\n`);
    return error.entry.exit;
  }
  const rule = error instanceof DenialError ? `  rule: ${error.rule}` : undefined;
  const hint = error.hint === undefined ? undefined : `  hint: ${output.commands(error.hint)}`;
  const head = `${output.styleError("red", "doorward:")} ${escapeText(error.message)}`;
  const rest = [rule, hint].filter((line) => line !== undefined).map((line) => `${escapeText(line)}\n`);
  cli.stderr.write(`${head}\n${rest.join("")}`);
  if (error.code === "INTERNAL" && cli.env["DOORWARD_DEBUG"] === "1" && thrown instanceof Error) {
    cli.stderr.write(`${thrown.stack ?? ""}\n`);
  }
  return error.entry.exit;
}
