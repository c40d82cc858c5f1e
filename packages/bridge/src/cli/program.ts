import { Command, CommanderError } from "commander";
import { version } from "../build-id.ts";
import type { Cli, TerminalWritable } from "./cli.ts";
import { Output } from "./output.ts";
import { COMMANDS, type CommandEntry } from "./commands.ts";
import { shellWord } from "./shell-word.ts";

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
    .addHelpCommand(
      new Command("help [command...]")
        .description("show the help of a command")
        .helpOption(false)
        .helpGroup(`${COMMANDS.at(-1)?.group ?? ""}:`),
    )
    .configureOutput({
      outputError: () => undefined,
      writeOut: (text) => cli.stdout.write(text),
      writeErr: (text) => cli.stderr.write(text),
      getOutHelpWidth: () => widthOf(cli.stdout),
      getErrHelpWidth: () => widthOf(cli.stderr),
    })
    .configureHelp({ subcommandTerm: termOf })
    .exitOverride()
    .addHelpText("after", HELP_TEXT);
  for (const entry of COMMANDS) await addCommand(program, entry, cli, called);
  return program;
}

/** The usual width where a stream is no terminal. */
function widthOf({ isTTY, columns }: TerminalWritable): number {
  return isTTY === true ? (columns ?? 80) : 80;
}

/** A command with its arguments; that it has options stands in its own help. */
function termOf(command: Command): string {
  const names = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...names].join(" ");
}

/** Parses and runs a command line; the exit code is in `cli.exitCode`. */
export async function runProgram(cli: Cli, own: readonly string[]): Promise<void> {
  if (own[0] === "complete") {
    const { complete } = await import("./complete.ts");
    return complete(cli, own.slice(own[1] === "--" ? 2 : 1));
  }
  const program = await buildProgram(cli, own);
  try {
    const words = own[0] === "help" ? helpWords(program, own.slice(1)) : own;
    await program.parseAsync([...words], { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    cli.exitCode = thrown.exitCode === 0 ? 0 : USAGE;
    if (cli.exitCode !== 0 && thrown.code !== "commander.help")
      await reportUsage(cli, program, own[0] === "help" ? own.slice(1) : own, thrown.message);
  }
}

/** `help grant create` as the parser knows it; a word that is no command goes to it as it is, and is refused. */
function helpWords(program: Command, asked: readonly string[]): readonly string[] {
  let command = program;
  const names: string[] = [];
  for (const word of asked.filter((each) => !each.startsWith("-"))) {
    if (command.commands.length === 0) break;
    const child = command.commands.find((candidate) => candidate.name() === word);
    names.push(word);
    if (child === undefined) return names;
    command = child;
  }
  return [...names, "--help"];
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
    .trim()
    .replace(/\.$/, "");
  const first = own.find((argument) => !argument.startsWith("-"));
  const command = COMMANDS.find(({ name }) => name === first)?.name;
  // What most often is wrong with these: the program's words without the dashes that begin them.
  const dashes = command !== undefined && RUNS_PROGRAM.has(command) && cli.passthrough.length === 0;
  const hint = dashes ? withDashes(command, own) : helpOf(program, own);
  await reportError(usage(`Cannot read the command line: ${what}`, "argv", hint), cli, output);
}

/** `exec shop ls -l` as it was meant; where that can't be told, how such a command line looks. */
function withDashes(command: string, own: readonly string[]): string | undefined {
  const [called, machine, ...program] = own;
  const plain =
    called === command && machine?.startsWith("-") === false && program[0]?.startsWith("-") === false;
  if (!plain || command === "run") return PROGRAM_USAGE[command];
  return `doorward ${command} ${[machine, "--", ...program].map(shellWord).join(" ")}`;
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
  return ["doorward help", ...names].join(" ");
}

async function addCommand(
  program: Command,
  entry: CommandEntry,
  cli: Cli,
  called: "all" | readonly string[],
): Promise<void> {
  const command = program
    .command(entry.name)
    .description(entry.summary)
    .helpGroup(`${entry.group}:`)
    .copyInheritedSettings(program);
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
exec, run and attach exit with the program's code, 128 + signal, or 125 when
Doorward failed.`;
