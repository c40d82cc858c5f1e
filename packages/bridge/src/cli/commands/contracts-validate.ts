import { resolve } from "node:path";
import { DOCUMENTS } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { FileVerdict } from "../../interfaces/validate-file.ts";
import type { Cli } from "../cli.ts";
import { escapeLine } from "@doorward/client/operator";
import type { Output } from "../output.ts";
import { parseArgument, parseOptions } from "../parse-input.ts";
import { leaf } from "../run.ts";

const SHOWN = 20;

const Files = z.array(z.string().min(1).max(4096)).min(1).max(1000);
const ValidateOptions = z.object({
  type: z
    .string()
    .refine((type) => Object.hasOwn(DOCUMENTS, type), "there is no contract of this name")
    .optional(),
});

/** `doorward contracts validate`. */
export function defineContractsValidate(command: Command, cli: Cli): void {
  command
    .argument("<file...>", "JSON or YAML files with one document each")
    .option("--type <name>", "contract to judge by, for documents that do not name one in type or kind");
  const examples = [
    "doorward contracts validate ~/.config/doorward/interfaces/*.yaml",
    "doorward contracts validate policy.yaml --type Policy --json",
  ];
  leaf(command, cli, examples, async (run, [given], options) => {
    const names = parseArgument("file", Files, given);
    const { type } = parseOptions(ValidateOptions, options);
    const { FileValidator } = await import("../../interfaces/validate-file.ts");
    const validator = new FileValidator();
    const files: FileVerdict[] = [];
    for (const name of names) files.push(await validator.judge(resolve(cli.cwd, name), type));
    const valid = files.every((file) => file.valid);
    run.output.result({ valid, files }, () => files.map((file) => text(run.output, file)).join("\n"));
    return valid ? 0 : 1;
  });
}

function text(output: Output, { file, type, valid, problems, note }: FileVerdict): string {
  const name = escapeLine(file);
  if (valid) {
    const line = `${output.style("green", "valid")}    ${name}  ${type ?? ""}`;
    return note === null ? line : `${line}\n  note: ${escapeLine(note)}`;
  }
  const more = problems.length > SHOWN ? [`  and ${problems.length - SHOWN} more; --json shows all`] : [];
  const lines = problems
    .slice(0, SHOWN)
    .map(({ path, reason }) => `  ${escapeLine(path === "" ? reason : `${path}: ${reason}`)}`);
  return [
    `${output.style("red", "INVALID")}  ${name}  ${escapeLine(type ?? "no contract")}`,
    ...lines,
    ...more,
  ].join("\n");
}
