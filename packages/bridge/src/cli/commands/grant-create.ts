import { resolve } from "node:path";
import { AGENT_TOOLS, type Operation, type ToolName } from "@doorward/contracts";
import type { Command } from "commander";
import type * as z from "zod";
import type { Cli } from "../cli.ts";
import { addGrantOptions, GrantOptions } from "../grant-options.ts";
import { showMinted, tokenUrl } from "../grant-view.ts";
import { machineCommand } from "../machine-action.ts";
import { parseOptions, usage } from "../parse-input.ts";

/** `doorward grant create`. */
export function defineGrantCreate(command: Command, cli: Cli): void {
  addGrantOptions(command);
  machineCommand(command, cli, {
    examples: [
      "doorward grant create shop --to agent:codex:fix-42 --op terminal.agent-exec --for 2h",
      "doorward grant create shop --to agent:codex:fix-42 --tool read_file --tool git_diff --for 2h",
    ],
    parse: (given) => complete(parseOptions(GrantOptions, given)),
    act: async (run, client, machine, options) => {
      const body = {
        machine,
        subject: options.to,
        operations: options.op,
        for: options.for,
        ...(options.door === undefined ? {} : { doors: options.door }),
        ...(options.capability === undefined ? {} : { capabilities: options.capability }),
        ...(options.tool === undefined ? {} : { tools: options.tool }),
        ...(options.path === undefined ? {} : { paths: options.path.map((path) => resolve(cli.cwd, path)) }),
      };
      const minted = await client.call("grants.create", { body }, { signal: run.cli.signal });
      const url = run.output.json ? undefined : await tokenUrl(run, client);
      run.output.result(minted, () => showMinted(run.output, minted, url));
      return 0;
    },
  });
}

type Options = z.infer<typeof GrantOptions>;

interface Complete extends Options {
  readonly to: string;
  readonly op: NonNullable<Options["op"]>;
  readonly for: string;
}

function complete(options: Options): Complete {
  const { to, for: time, tool, op = tool === undefined ? undefined : operationsOf(tool) } = options;
  if (to === undefined) throw missing("--to", "--to agent:codex:session-1");
  if (op === undefined) throw missing("--op", "--op terminal.agent-exec");
  if (time === undefined) throw missing("--for", "--for 8h");
  return { ...options, to, op, for: time };
}

/** What tools take, when nothing else is said: to see them, and to call them. */
function operationsOf(tools: readonly ToolName[]): Operation[] {
  return [...new Set<Operation>(["agent-tool.list", ...tools.map((tool) => AGENT_TOOLS[tool].operation)])];
}

function missing(option: string, hint: string): Error {
  return usage(`Cannot mint a grant: option ${option} is missing`, option, hint);
}
