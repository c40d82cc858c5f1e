import type { PathVerdict } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { escapeLine } from "../escape-text.ts";
import type { Output } from "../output.ts";
import { pathArgument } from "../path-argument.ts";
import { leaf, type Run } from "../run.ts";

const DENIED = 3;

/** `doorward policy check`. */
export function definePolicyCheck(command: Command, cli: Cli): void {
  command.argument("<path>", "folder on the host");
  leaf(command, cli, ["doorward policy check ~/src/shop"], async (run, [path]) => {
    const verdict = await judge(run, pathArgument(cli, path));
    run.output.result(verdict, () => headline(run.output, verdict));
    return verdict.allowed ? 0 : DENIED;
  });
}

/** `doorward policy explain`. */
export function definePolicyExplain(command: Command, cli: Cli): void {
  command.argument("<path>", "folder on the host");
  leaf(command, cli, ["doorward policy explain ~/.ssh"], async (run, [path]) => {
    const verdict = await judge(run, pathArgument(cli, path));
    run.output.result(verdict, () => explanation(run.output, verdict));
    return 0;
  });
}

async function judge(run: Run, path: string): Promise<PathVerdict> {
  await using client = await run.client();
  return await client.call("policy.check", { body: { path } }, { signal: run.cli.signal });
}

function headline(output: Output, verdict: PathVerdict): string {
  const path = escapeLine(verdict.resolved ?? verdict.path);
  if (!verdict.allowed) return `${output.style("red", "denied")}  ${path}  (${escapeLine(verdict.rule)})`;
  const how = verdict.access === "rw" ? "read and write" : "read only";
  return `${output.style("green", "allowed")}  ${path}  ${how}  (${escapeLine(verdict.rule)})`;
}

function explanation(output: Output, verdict: PathVerdict): string {
  const elsewhere = verdict.resolved !== null && verdict.resolved !== verdict.path;
  return [
    headline(output, verdict),
    ...(elsewhere ? [`"${escapeLine(verdict.path)}" leads to "${escapeLine(verdict.resolved ?? "")}"`] : []),
    escapeLine(verdict.reason),
    `rule: ${escapeLine(verdict.rule)}${verdict.code === null ? "" : ` (${verdict.code})`}`,
    ...(verdict.hint === null ? [] : [`to change it: ${escapeLine(verdict.hint)}`]),
  ].join("\n");
}
