import { homedir } from "node:os";
import type { DoorwardClient } from "@doorward/client";
import type { PathVerdict, Policy } from "@doorward/contracts";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import type { Output } from "../output.ts";
import { pathArgument } from "../path-argument.ts";
import type { PolicyFile, PolicyWarning } from "../../policy/index.ts";
import { resolveFolders } from "../../state/index.ts";
import { leaf, type Run } from "../run.ts";
import { shellWord } from "../shell-word.ts";
import { fields } from "../table.ts";

const DENIED = 3;

/** `doorward policy check`. */
export function definePolicyCheck(command: Command, cli: Cli): void {
  command.argument("[path]", "folder on the host; the policy itself when left out");
  leaf(command, cli, ["doorward policy check", "doorward policy check ~/src/shop"], async (run, [path]) => {
    if (path === undefined) return await checkFile(run);
    const folder = pathArgument(cli, path);
    await using client = await run.client();
    const verdict = await judge(run, client, folder);
    run.output.result(verdict, () => headline(run.output, verdict));
    return verdict.allowed ? 0 : DENIED;
  });
}

/** Reads the policy and the documents beside it as a bridge does, without one; an invalid one is thrown as its error. */
async function checkFile(run: Run): Promise<number> {
  const { PolicyFile, policyWarnings } = await import("../../policy/index.ts");
  const { config, state, runtime } = resolveFolders(run.cli.env);
  const file = await PolicyFile.load({
    configDir: config,
    stateDir: state,
    runtimeDir: runtime,
    home: run.cli.env["HOME"] ?? homedir(),
  });
  const warnings = await policyWarnings(file);
  const { path, exists, hash } = file;
  run.output.result({ valid: true, path, exists, hash, warnings }, () =>
    fileText(run.output, file, warnings),
  );
  return 0;
}

function fileText(output: Output, { path, hash }: PolicyFile, warnings: readonly PolicyWarning[]): string {
  const lines = warnings.map(({ field, what }) => escapeLine(field === "" ? what : `${field}: ${what}`));
  return [
    `${output.style("green", "valid")}  ${escapeLine(path)}`,
    hash,
    ...lines.map((line) => `${output.style("yellow", "warning:")} ${line}`),
  ].join("\n");
}

/** `doorward policy explain`. */
export function definePolicyExplain(command: Command, cli: Cli): void {
  command.argument("<path>", "folder on the host");
  leaf(command, cli, ["doorward policy explain ~/.ssh"], async (run, [path]) => {
    const folder = pathArgument(cli, path);
    await using client = await run.client();
    const verdict = await judge(run, client, folder);
    const { policy, path: file } = await client.call("policy.show", {}, { signal: run.cli.signal });
    const change = changeOf(verdict, policy.roots);
    run.output.result({ ...verdict, change }, () => explanation(run.output, verdict, file, change));
    return 0;
  });
}

function judge(run: Run, client: DoorwardClient, path: string): Promise<PathVerdict> {
  return client.call("policy.check", { body: { path } }, { signal: run.cli.signal });
}

function headline(output: Output, verdict: PathVerdict): string {
  const path = escapeLine(verdict.resolved ?? verdict.path);
  if (!verdict.allowed) return `${output.style("red", "denied")}  ${path}  (${escapeLine(verdict.rule)})`;
  const how = verdict.access === "rw" ? "read and write" : "read only";
  return `${output.style("green", "allowed")}  ${path}  ${how}  (${escapeLine(verdict.rule)})`;
}

function explanation(output: Output, verdict: PathVerdict, file: string, change: string | null): string {
  const elsewhere = verdict.resolved !== null && verdict.resolved !== verdict.path;
  const never = "nothing: the built-in list always wins";
  return [
    headline(output, verdict),
    "",
    fields([
      ["rule", verdict.rule],
      ["why", verdict.reason],
      ...(elsewhere ? [["leads to", verdict.resolved ?? ""] as const] : []),
      ["policy", file],
      ...(verdict.code === null ? [] : [["code", verdict.code] as const]),
      ["to change it", change === null ? never : output.commands(change)],
      ...(change === null && verdict.hint !== null
        ? [["instead", output.commands(verdict.hint)] as const]
        : []),
    ]),
  ].join("\n");
}

/** The command that would change a verdict; null where none can. */
function changeOf(verdict: PathVerdict, roots: Policy["roots"]): string | null {
  if (!verdict.allowed) return verdict.rule.startsWith("policy.paths.deny[") ? null : verdict.hint;
  const root = roots[Number(/^policy\.roots\[(\d+)\]$/.exec(verdict.rule)?.[1] ?? -1)];
  if (root === undefined) return null;
  return verdict.access === "ro"
    ? `doorward policy allow ${shellWord(root.path)}`
    : `doorward policy remove ${shellWord(root.path)}`;
}
