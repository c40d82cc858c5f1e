import { resolve } from "node:path";
import type { DoorwardClient } from "@doorward/client";
import {
  AGENT_TOOLS,
  DenialError,
  doorOf,
  type GrantRequest,
  type Operation,
  type PolicyGrantRule,
  type RouteResult,
  type ToolName,
} from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { canAsk, confirm } from "../confirm.ts";
import { addGrantOptions, GrantOptions } from "../grant-options.ts";
import { showMinted, tokenUrl } from "../grant-view.ts";
import { machineCommand } from "../machine-action.ts";
import { parseOptions, usage } from "../parse-input.ts";
import type { Run } from "../run.ts";
import { shellWord } from "../shell-word.ts";

/** `doorward grant create`. */
export function defineGrantCreate(command: Command, cli: Cli): void {
  addGrantOptions(command).option("--allow", "add the rule to the policy that it takes, without asking");
  machineCommand(command, cli, {
    examples: [
      "doorward grant create shop --to ci:nightly --op terminal.exec --for 2h",
      "doorward grant create --to agent:codex:a1 --tool read_file --for 2h --allow",
    ],
    parse: (given) => complete(parseOptions(CreateOptions, given)),
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
      const minted = await mint(run, client, body, options.allow === true);
      const url = run.output.json ? undefined : await tokenUrl(run, client);
      run.output.result(minted, () => showMinted(run.output, minted, url));
      return 0;
    },
  });
}

const CreateOptions = GrantOptions.extend({ allow: z.boolean().optional() });
type Options = z.infer<typeof CreateOptions>;

/**
 * Mints a grant; where no rule of the policy covers it, one is added with `--allow`, on a terminal after a question. The rule
 * goes with the grant, so that none is left of a grant that is refused.
 */
async function mint(
  run: Run,
  client: DoorwardClient,
  body: GrantRequest,
  allow: boolean,
): Promise<RouteResult<"grants.create">> {
  const { signal } = run.cli;
  try {
    return await client.call("grants.create", { body }, { signal });
  } catch (error) {
    if (!(error instanceof DenialError) || !error.rule.startsWith("policy.grants")) throw error;
    const { machines } = await client.call("machines.list", {}, { signal });
    const machine = machines.find(({ id, name }) => [id, name].includes(body.machine));
    if (machine === undefined) throw error;
    const rule = ruleFor(body, machine.profile);
    const words = `${rule.operations.join(", ")} for up to ${rule.for} on machines of profile ${machine.profile}`;
    const question = `Your policy does not let ${rule.to} be granted this. Add ${words}?`;
    const yes = allow || (!run.output.json && canAsk(run.cli) && (await confirm(run.cli, question)));
    if (!yes) throw withAllow(error, body);
    const minted = await client.call("grants.create", { body: { ...body, rule } }, { signal });
    run.output.info(`The policy now lets ${rule.to} be granted ${words}`);
    return minted;
  }
}

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

/** The narrowest rule that covers what was asked; rules know neither tools nor paths. */
function ruleFor(body: GrantRequest, profile: string): PolicyGrantRule {
  return {
    to: body.subject,
    doors: body.doors ?? [...new Set(body.operations.map(doorOf))],
    operations: body.operations,
    ...(body.capabilities === undefined ? {} : { capabilities: body.capabilities }),
    for: body.for,
    profiles: [profile],
  };
}

/** The refusal, with the command that adds the rule. */
function withAllow(error: DenialError, { machine, subject, operations, ...rest }: GrantRequest): DenialError {
  const lists = { "--op": operations, "--door": rest.doors, "--capability": rest.capabilities };
  const options = Object.entries({ ...lists, "--tool": rest.tools, "--path": rest.paths });
  const words = options.flatMap(([option, values]) =>
    values === undefined ? [] : [option, shellWord(values.join(","))],
  );
  const hint = `doorward grant create ${machine} --to ${subject} ${words.join(" ")} --for ${rest.for} --allow`;
  const { code, message, rule, details } = error;
  return new DenialError({ code, message, rule, hint, details, cause: error });
}

function missing(option: string, hint: string): Error {
  return usage(`Cannot mint a grant: option ${option} is missing`, option, hint);
}
