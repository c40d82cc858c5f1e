import {
  ACTION_PRESETS,
  DOCUMENTS,
  DOORS,
  EVIDENCE_PREDICATES,
  OPERATIONS,
  TOOL_IDS,
  TOOL_NAMES,
} from "@doorward/contracts";
import { escapeLine } from "@doorward/client/operator";
import type { Argument, Command, Option } from "commander";
import type { Cli } from "./cli.ts";
import { askBridge, type Asked, type Candidate } from "./complete-asked.ts";
import { CLIENT_NAMES } from "./connect/client-names.ts";
import { CONTRACT_TYPES } from "./commands/contracts-show.ts";
import { buildProgram } from "./program.ts";

type Source = Asked | Fixed | "files" | "none";

/** What this build knows by itself. */
const FIXED = {
  presets: ACTION_PRESETS,
  operations: OPERATIONS,
  doors: DOORS,
  clients: CLIENT_NAMES,
  tools: TOOL_NAMES,
  kinds: TOOL_IDS,
  transports: ["stdio", "http", "ws"],
  scopes: ["user", "project"],
  records: Object.keys(EVIDENCE_PREDICATES),
  "key-actions": ["show", "rotate"],
  shells: ["bash", "zsh", "fish"],
  loopback: ["127.0.0.1", "::1"],
  contracts: CONTRACT_TYPES,
  documents: Object.keys(DOCUMENTS),
} as const satisfies Readonly<Record<string, readonly string[]>>;
type Fixed = keyof typeof FIXED;

const SOURCE_OF: ReadonlyMap<string, Source> = new Map<string, Source>([
  ["machine", "machines"],
  ["machine-or-time", "machines"],
  ["machine-or-host", "machines"],
  ["machine-or-port", "machines"],
  ["start machine", "stopped"],
  ["--terminal", "terminals"],
  ["allow host", "refused-hosts"],
  ["deny host", "allowed-hosts"],
  ["remove path", "roots"],
  ["shell", "shells"],
  ["--bind", "loopback"],
  ["urn-or-type", "contracts"],
  ["validate --type", "documents"],
  ["id", "approvals"],
  ["action-id", "actions"],
  ["secret", "secrets"],
  ["preset", "presets"],
  ["profile", "profiles"],
  ["transcript", "transcripts"],
  ["--machine", "machines"],
  ["grant", "grants"],
  ["--grant", "grants"],
  ["--profile", "profiles"],
  ["--op", "operations"],
  ["client", "clients"],
  ["--tool", "tools"],
  ["--as", "kinds"],
  ["--transport", "transports"],
  ["--scope", "scopes"],
  ["ls --type", "records"],
  ["key action", "key-actions"],
  ["--up", "files"],
  ["--door", "doors"],
  ...[
    "repo",
    "path",
    "dir",
    "file",
    "--ro",
    "--repo",
    "--patch",
    "--path",
    "--from",
    "--key",
    "--checkpoint",
  ].map((name): [string, Source] => [name, "files"]),
  ...["--output", "--token-file", "--witness", "--folder", "--log", "--executable", "--cwd-root"].map(
    (name): [string, Source] => [name, "files"],
  ),
]);

/** Answers a completion script: `words` are those after `doorward`, the last is the one at the cursor. No bridge is started for it. */
export async function complete(cli: Cli, words: readonly string[]): Promise<void> {
  const program = await buildProgram(cli, "all");
  const current = words.at(-1) ?? "";
  const place = findPlace(program, words.slice(0, -1), current);
  const found = typeof place === "string" ? await candidates(cli, place, words) : place;
  for (const { value, description } of found) {
    // What a machine says of itself may hold anything; a line is one candidate, and its value goes onto a command line.
    const plain = escapeLine(value) === value;
    if (plain && value.startsWith(current)) cli.stdout.write(`${value}\t${escapeLine(description)}\n`);
  }
  cli.stdout.write(place === "files" ? ":files\n" : ":none\n");
}

function findPlace(
  program: Command,
  before: readonly string[],
  current: string,
): readonly Candidate[] | Source {
  let command = program;
  let position = 0;
  let expecting: Option | undefined;
  for (const word of before) {
    if (word === "--") return "files";
    if (expecting !== undefined) expecting = undefined;
    else if (word.startsWith("-")) expecting = valueOption(command, word);
    else {
      const child = command.commands.find((candidate) => candidate.name() === word);
      if (child === undefined) position += 1;
      else command = child;
    }
  }
  if (expecting !== undefined) return sourceOf(command, expecting.long ?? "");
  if (current.startsWith("-")) return optionsOf(command);
  if (command.commands.length > 0) return commandsOf(command);
  return sourceOf(command, argumentAt(command, position)?.name() ?? "");
}

/** What an option or argument is completed from: some names mean another thing in one command. */
function sourceOf(command: Command, name: string): Source {
  return SOURCE_OF.get(`${command.name()} ${name}`) ?? SOURCE_OF.get(name) ?? "none";
}

function valueOption(command: Command, word: string): Option | undefined {
  return command.options.find(
    (option) => (option.long === word || option.short === word) && (option.required || option.optional),
  );
}

function argumentAt(command: Command, position: number): Argument | undefined {
  const last = command.registeredArguments.at(-1);
  return command.registeredArguments[position] ?? (last?.variadic === true ? last : undefined);
}

function optionsOf(command: Command): readonly Candidate[] {
  const help = { value: "--help", description: "show the help" };
  return [
    ...command.options.map((option) => ({ value: option.long ?? "", description: option.description })),
    help,
  ];
}

function commandsOf(command: Command): readonly Candidate[] {
  return command.commands.map((child) => ({ value: child.name(), description: child.description() }));
}

async function candidates(cli: Cli, source: Source, words: readonly string[]): Promise<readonly Candidate[]> {
  if (source === "files" || source === "none") return [];
  if (isFixed(source)) return FIXED[source].map((value) => ({ value, description: "" }));
  try {
    return await askBridge(cli, source, words);
  } catch {
    return [];
  }
}

function isFixed(source: Source): source is Fixed {
  return Object.hasOwn(FIXED, source);
}
