import { Command, CommanderError } from "commander";
import { version } from "../build-id.ts";
import type { Cli } from "./cli.ts";
import { Output } from "./output.ts";
import { COMMANDS, type CommandEntry } from "./commands.ts";

const USAGE = 2;

/** Commands whose words after `--` belong to the program that they run. */
const RUNS_PROGRAM: ReadonlySet<string> = new Set(["run", "attach", "exec", "ssh"]);
const PROGRAM_USAGE: Readonly<Record<string, string>> = {
  run: "doorward run [repo] -- CMD",
  attach: "doorward attach [machine] -- CMD",
  exec: "doorward exec [machine] -- CMD",
  ssh: "doorward ssh [machine] -- CMD",
};

/** Splits a command line into what `doorward` reads and what the program after `--` gets. */
export function splitArguments(argv: readonly string[]): {
  readonly own: readonly string[];
  readonly passthrough: readonly string[];
} {
  const name = argv.find((argument) => !argument.startsWith("-"));
  const at = argv.indexOf("--");
  if (at < 0 || name === undefined || !RUNS_PROGRAM.has(name)) return { own: argv, passthrough: [] };
  return { own: argv.slice(0, at), passthrough: argv.slice(at + 1) };
}

/** The `doorward` program. Only the called command's code is loaded, so that help and version are quick. */
export async function buildProgram(cli: Cli, called: "all" | readonly string[]): Promise<Command> {
  const program = new Command("doorward")
    .description("Runs AI agents on your code in isolated machines, behind doors, grants and evidence")
    .version(version(), "-V, --version", "print the version")
    .option("--json", "print documents as JSON")
    .option("--no-color", "no colours")
    .helpCommand("help [command]", "show the help of a command")
    .configureOutput({
      outputError: () => undefined,
      writeOut: (text) => cli.stdout.write(text),
      writeErr: (text) => cli.stderr.write(text),
    })
    .exitOverride()
    .addHelpText("after", HELP_TEXT);
  for (const entry of COMMANDS) await addCommand(program, entry, cli, called);
  return program;
}

/** Parses and runs a command line; the exit code is in `cli.exitCode`. */
export async function runProgram(cli: Cli, own: readonly string[]): Promise<void> {
  if (own[0] === "complete") {
    const { complete } = await import("./complete.ts");
    return complete(cli, own.slice(own[1] === "--" ? 2 : 1));
  }
  const program = await buildProgram(cli, own);
  try {
    await program.parseAsync([...own], { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    cli.exitCode = thrown.exitCode === 0 ? 0 : USAGE;
    if (cli.exitCode !== 0 && thrown.code !== "commander.help")
      await reportUsage(cli, program, own, thrown.message);
  }
}

/** Errors of the parser look like all others, and are documents where those are. */
async function reportUsage(
  cli: Cli,
  program: Command,
  own: readonly string[],
  message: string,
): Promise<void> {
  const [{ usage }, { reportError }] = await Promise.all([
    import("./parse-input.ts"),
    import("./report-error.ts"),
  ]);
  const output = new Output(cli, { json: own.includes("--json"), color: !own.includes("--no-color") });
  const what = message
    .replace(/^error: /, "")
    .replaceAll("\n", " ")
    .trim();
  const first = own.find((argument) => !argument.startsWith("-"));
  const command = COMMANDS.find(({ name }) => name === first)?.name;
  // What most often is wrong with these: the program's words without the dashes that begin them.
  const dashes = command !== undefined && RUNS_PROGRAM.has(command) && cli.passthrough.length === 0;
  const hint = dashes ? PROGRAM_USAGE[command] : helpOf(program, own);
  await reportError(usage(`Cannot read the command line: ${what}`, "argv", hint), cli, output);
}

/** The command that shows the help of what was called, as far as its words are commands. */
function helpOf(program: Command, own: readonly string[]): string {
  const names: string[] = [];
  let command = program;
  for (const word of own) {
    const child = command.commands.find((candidate) => candidate.name() === word);
    if (child === undefined) break;
    command = child;
    names.push(word);
  }
  return names.length > 1 ? `doorward ${names.join(" ")} --help` : ["doorward help", ...names].join(" ");
}

async function addCommand(
  program: Command,
  entry: CommandEntry,
  cli: Cli,
  called: "all" | readonly string[],
): Promise<void> {
  const command = program.command(entry.name).description(entry.summary).copyInheritedSettings(program);
  if (called !== "all" && !called.includes(entry.name)) return;
  const define = await entry.load();
  define(command, cli);
}

const HELP_TEXT = `
Examples:
  doorward up                     a machine on the repo of the current folder
  doorward attach                 a terminal in it
  doorward exec -- npm test       run a command in it
  doorward evidence verify        check everything that was recorded

Exit codes: 0 ok, 1 failed, 2 usage, 3 denied, 4 not found, 5 host not ready;
exec, run and attach exit with the program's code, 128 + signal, or 125 when Doorward failed.`;
