import type { DoorwardClient } from "@doorward/client";
import {
  ACTION_PRESETS,
  DOORS,
  EVIDENCE_PREDICATES,
  OPERATIONS,
  TOOL_IDS,
  TOOL_NAMES,
} from "@doorward/contracts";
import type { Argument, Command, Option } from "commander";
import type { Cli } from "./cli.ts";
import { CLIENT_NAMES } from "./connect/client-names.ts";
import { Output } from "./output.ts";
import { buildProgram } from "./program.ts";

/** One thing that may stand at the cursor. */
interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What only a running bridge knows. */
type Asked = "machines" | "approvals" | "actions" | "secrets" | "transcripts" | "grants" | "profiles";
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
} as const satisfies Readonly<Record<string, readonly string[]>>;
type Fixed = keyof typeof FIXED;

const SOURCE_OF: ReadonlyMap<string, Source> = new Map<string, Source>([
  ["machine", "machines"],
  ["machine-or-time", "machines"],
  ["machine-or-host", "machines"],
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
  const found = typeof place === "string" ? await candidates(cli, place) : place;
  for (const { value, description } of found) {
    if (value.startsWith(current)) cli.stdout.write(`${value}\t${description}\n`);
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

async function candidates(cli: Cli, source: Source): Promise<readonly Candidate[]> {
  if (source === "files" || source === "none") return [];
  if (isFixed(source)) return FIXED[source].map((value) => ({ value, description: "" }));
  try {
    return await asked(cli, source);
  } catch {
    return [];
  }
}

function isFixed(source: Source): source is Fixed {
  return Object.hasOwn(FIXED, source);
}

async function asked(cli: Cli, source: Asked): Promise<readonly Candidate[]> {
  await using client = await runningBridge(cli);
  const signal = AbortSignal.timeout(2000);
  if (source === "machines") {
    const { machines } = await client.call("machines.list", {}, { signal });
    return machines.map(({ name, state }) => ({ value: name, description: state }));
  }
  if (source === "approvals") {
    const { approvals } = await client.call("approvals.list", {}, { signal });
    return approvals.map(({ id, title }) => ({ value: id, description: title }));
  }
  if (source === "actions") {
    const { actions } = await client.call("actions.list", {}, { signal });
    return actions.map(({ id, action, state }) => ({ value: id, description: `${action}, ${state}` }));
  }
  if (source === "secrets") {
    const { secrets } = await client.call("secrets.list", {}, { signal });
    return secrets.map(({ name, setAt }) => ({ value: name, description: `set ${setAt}` }));
  }
  if (source === "transcripts") {
    const { transcripts } = await client.call("transcripts.list", {}, { signal });
    return transcripts.map(({ id, machine, startedAt }) => ({
      value: id,
      description: `${machine.name}, ${startedAt}`,
    }));
  }
  if (source === "grants") {
    const { grants } = await client.call("grants.list", {}, { signal });
    return grants.map(({ grant, status }) => ({
      value: grant.grantId,
      description: `${grant.subject}, ${status}`,
    }));
  }
  const { policy } = await client.call("policy.show", {}, { signal });
  return [...new Set(["default", ...Object.keys(policy.profiles ?? {})])].map((value) => ({
    value,
    description: "profile",
  }));
}

/** Not in the function that disposes of it: there TypeScript 6 leaves the extension of a dynamic import as it is. */
async function runningBridge(cli: Cli): Promise<DoorwardClient> {
  const { openClient } = await import("./bridge-link.ts");
  return openClient(cli, new Output(cli, { json: true, color: false }), { start: false });
}
