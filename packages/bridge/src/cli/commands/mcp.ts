import {
  ActionCapability,
  doorOf,
  Duration,
  OPERATIONS,
  TOOL_IDS,
  ToolId,
  ToolName,
  type Operation,
} from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import { actsForGrant } from "../bridge-link.ts";
import type { Cli } from "../cli.ts";
import { accessOf } from "../mcp/choose-access.ts";
import { ClientLife } from "../mcp/client-life.ts";
import { DEFAULT_OPERATIONS, READ_OPERATIONS } from "../mcp/operations.ts";
import { McpShim } from "../mcp/shim.ts";
import { parseOptions, usage } from "../parse-input.ts";
import { namedMachine } from "../resolve-machine.ts";
import { leaf, type Run } from "../run.ts";
import { readToken } from "../ssh/token-file.ts";

/** A grant of this length is renewed at half of it; a shim that was killed leaves it for no longer. */
const DEFAULT_TIME = "10m";

const AGENT_TOOL = OPERATIONS.filter((operation) => doorOf(operation) === "agent-tool");

const McpOptions = z.object({
  as: ToolId.optional(),
  op: z.array(z.enum(AGENT_TOOL)).min(1).max(16).optional(),
  readOnly: z.boolean().optional(),
  for: Duration.optional(),
  up: z.union([z.boolean(), z.string().min(1).max(4096)]).optional(),
  tokenFile: z.string().min(1).optional(),
  tool: z.array(ToolName).min(1).max(64).optional(),
  capability: z.array(ActionCapability).min(1).max(64).optional(),
  headers: z
    .string()
    .regex(/^[a-z0-9-]{1,120}$/)
    .describe("Id of a connection, as connect --remove shows it")
    .optional(),
});
type McpOptions = z.infer<typeof McpOptions>;

/** `doorward mcp`. */
export function defineMcp(command: Command, cli: Cli): void {
  const collect = (value: string, before: readonly string[] | undefined): string[] => [
    ...(before ?? []),
    ...value.split(",").map((part) => part.trim()),
  ];
  command
    .argument("[machine]", "name or id; may be left out where one machine has the current folder")
    .option(
      "--as <tool>",
      `kind of agent in records and grants: ${TOOL_IDS.join(", ")}; local-shell when left out`,
    )
    .option(
      "--op <operation>",
      `operation of the grant; ${DEFAULT_OPERATIONS.join(", ")} when left out`,
      collect,
    )
    .option("--read-only", `only ${READ_OPERATIONS.join(" and ")}`)
    .option(
      "--for <time>",
      `how long the grant outlives a killed client; renewed meanwhile; ${DEFAULT_TIME} when left out`,
    )
    .option("--up [repo]", "first launch a machine on the folder, or take the one that has it")
    .option("--tool <name>", "tool that may be called; those of the operations when left out", collect)
    .option(
      "--capability <name>",
      "action on the host that may be asked for, e.g. system.process.exec; may be repeated",
      collect,
    )
    .option(
      "--headers <connection>",
      "print the headers of a connection that connect wrote, and renew its grant",
    )
    .option(
      "--token-file <path>",
      "use the grant whose token is in this file, and never the operator's socket",
    );
  const examples = [
    "doorward mcp shop --as codex",
    "doorward mcp --up --as claude-code --read-only",
    "claude mcp add shop -- doorward mcp shop --as claude-code",
  ];
  leaf(command, cli, examples, async (run, [machine], given) => {
    const options = parseOptions(McpOptions, given);
    if (options.headers !== undefined) {
      const { printHeaders } = await import("../connect/print-headers.ts");
      return await printHeaders(run, options.headers);
    }
    return await serve(actingFor(run, options.tokenFile), namedMachine(machine), options);
  });
}

async function serve(run: Run, machine: string | undefined, options: McpOptions): Promise<number> {
  checkTogether(run.cli, machine, options);
  const { stdin, stdout, signal } = run.cli;
  const note = (text: string): void => run.output.note(`doorward mcp: ${text}`);
  if (stdin.isTTY === true)
    note("speaks MCP on its streams, for an agent's client; see doorward help connect");
  using life = new ClientLife(stdout, signal);
  life.signal.addEventListener("abort", () => stdin.destroy(), { once: true });
  await using access = accessOf(run, {
    machine,
    up: options.up,
    tool: options.as ?? "local-shell",
    operations: operationsOf(options),
    tools: options.tool,
    capabilities: options.capability,
    time: options.for ?? DEFAULT_TIME,
    note,
  });
  const write = (line: string): Promise<void> =>
    new Promise((resolve) => stdout.write(`${line}\n`, () => resolve()));
  const shim = new McpShim({ access, input: stdin, write, note, signal: life.signal });
  return (await shim.run())?.entry.exit ?? 0;
}

/** Capabilities are of use only with the operation that they belong to. */
function operationsOf({ op, readOnly, capability }: McpOptions): readonly Operation[] {
  if (op !== undefined) return op;
  const usual = readOnly === true ? READ_OPERATIONS : DEFAULT_OPERATIONS;
  return capability === undefined ? usual : [...usual, "agent-tool.host-action"];
}

function checkTogether({ env }: Cli, machine: string | undefined, options: McpOptions): void {
  if (options.op !== undefined && options.readOnly === true)
    throw usage("Cannot use --op and --read-only together", "--read-only", "doorward help mcp");
  if (options.up !== undefined && machine !== undefined)
    throw usage("Cannot use --up with a machine: it finds the folder's own", "--up", "doorward mcp --up");
  const minting = ["op", "readOnly", "for", "up", "tool", "capability"] as const;
  const asked = minting.find((name) => options[name] !== undefined);
  if (asked === undefined || (!actsForGrant(env) && options.tokenFile === undefined)) return;
  const option = asked === "readOnly" ? "--read-only" : `--${asked}`;
  throw usage(`Cannot use ${option} with a grant's token: the grant says it`, option, "doorward help mcp");
}

function actingFor(run: Run, tokenFile: string | undefined): Run {
  if (tokenFile === undefined) return run;
  const env = { ...run.cli.env, DOORWARD_TOKEN: readToken(tokenFile) };
  return { ...run, cli: { ...run.cli, env } };
}
