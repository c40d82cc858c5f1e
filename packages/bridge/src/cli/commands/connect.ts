import type { DoorwardClient } from "@doorward/client";
import { Duration, type MachineView } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { CLIENT_NAMES, kindOf, type ClientName, type ConnectionKind } from "../connect/client-names.ts";
import type { ConnectAsk } from "../connect/connect-client.ts";
import { parseArgument, parseOptions, usage } from "../parse-input.ts";
import { namedMachine, resolveMachine } from "../resolve-machine.ts";
import { leaf, type Run } from "../run.ts";

const DEFAULT_TIME = "8h";

const ConnectOptions = z.object({
  transport: z.enum(["stdio", "http", "ws"]).optional(),
  scope: z.enum(["user", "project"]).optional(),
  for: Duration.optional(),
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,59}$/)
    .describe("Lower-case letters, digits and hyphens, at most 60 characters")
    .optional(),
  readOnly: z.boolean().optional(),
  ownTools: z.boolean().optional(),
  program: z
    .string()
    .regex(/^\/[^\0]*$/)
    .describe("An absolute path in the machine")
    .optional(),
  write: z.boolean().optional(),
  remove: z.boolean().optional(),
  allow: z.boolean().optional(),
  force: z.boolean().optional(),
});
type ConnectOptions = z.infer<typeof ConnectOptions>;

/** `doorward connect`. */
export function defineConnect(command: Command, cli: Cli): void {
  command
    .argument("<client>", CLIENT_NAMES.join(", "))
    .argument("[machine]", "name or id; may be left out where one machine has the current folder")
    .option("--write", "put it into the client's configuration; without it, it is only printed")
    .option("--remove", "take back what was written, and revoke its grant")
    .option("--transport <kind>", "stdio (the default: no secret is written anywhere), http or ws")
    .option("--scope <scope>", "user (the default) or project: this folder's configuration")
    .option("--read-only", "the client may look, and change and run nothing")
    .option(
      "--own-tools",
      "codex, openclaw: its own shell and file tools run in the machine, instead of MCP beside them",
    )
    .option("--program <path>", "with --own-tools: where codex is in the machine")
    .option("--for <time>", `how long the grant for http and ws lasts; ${DEFAULT_TIME} when left out`)
    .option("--name <name>", "name of the entry; doorward-MACHINE when left out")
    .option("--allow", "add the rule to the policy that such grants take, without asking")
    .option("--force", "also change or remove an entry that is not as it was written");
  leaf(
    command,
    cli,
    [
      "doorward connect claude-code shop --write",
      "doorward connect codex shop",
      "doorward connect openclaw shop --transport http --for 8h --write",
      "doorward connect codex shop --own-tools --write",
      "doorward connect claude-code shop --remove",
    ],
    async (run, [given, machine], options) => {
      const client = parseArgument("client", z.enum(CLIENT_NAMES), given);
      const asked = parseOptions(ConnectOptions, options);
      const kind = await checkTogether(client, asked);
      const named = namedMachine(machine);
      if (asked.remove === true) {
        const { takeBack } = await import("../connect/take-back.ts");
        const own = kindOf(client, true);
        const kinds = own === undefined || own === kind ? [kind] : [kind, own];
        return takeBack(run, kinds, named, asked);
      }
      return connectTo(run, kind, named, asked);
    },
  );
}

async function connectTo(
  run: Run,
  client: ConnectionKind,
  named: string | undefined,
  options: ConnectOptions,
): Promise<number> {
  const [{ CLIENTS }, { ensureRule }, { printConnection, writeConnection }, own, grants] =
    await connectParts();
  await using bridge = await run.client();
  const view = await machineOf(run, bridge, named);
  const readOnly = options.readOnly === true;
  const ask: ConnectAsk = {
    client,
    machine: view.name,
    workdir: view.workdir,
    transport: options.transport ?? CLIENTS[client].transports[0] ?? "stdio",
    program: options.program ?? own.CODEX_IN_MACHINE,
    scope: options.scope ?? "user",
    name: options.name ?? `doorward-${view.name}`,
    time: options.for ?? DEFAULT_TIME,
    readOnly,
    force: options.force === true,
  };
  const operations = grants.operationsOf(client, readOnly);
  const door = options.ownTools === true ? "terminal" : "agent-tool";
  const rule = {
    tool: CLIENTS[client].tool,
    door,
    operations,
    time: ask.time,
    profile: view.profile,
  } as const;
  await ensureRule(run, bridge, rule, options.allow === true);
  if (options.write === true) await writeConnection(run, bridge, ask);
  else await printConnection(run, bridge, ask);
  return 0;
}

/** Loaded when used; apart from `await using`, beside which the compiler leaves the names of imported files as they are. */
function connectParts() {
  return Promise.all([
    import("../connect/clients.ts"),
    import("../connect/policy-rule.ts"),
    import("../connect/connect-client.ts"),
    import("../connect/own-tools.ts"),
    import("../connect/connection-grant.ts"),
  ]);
}

async function machineOf(run: Run, bridge: DoorwardClient, named: string | undefined): Promise<MachineView> {
  const machine = await resolveMachine(run, bridge, named);
  return await bridge.call("machines.get", { params: { machine } }, { signal: run.cli.signal });
}

async function checkTogether(
  client: ClientName,
  { write, remove, ...rest }: ConnectOptions,
): Promise<ConnectionKind> {
  const { CLIENTS } = await import("../connect/clients.ts");
  const named = kindOf(client, rest.ownTools === true);
  if (named === undefined)
    throw usage(
      `Cannot use --own-tools: ${client} can't be told by a file of its own to run them elsewhere`,
      "--own-tools",
      "doorward ssh-config --install",
    );
  const kind = CLIENTS[named];
  const transport = rest.transport ?? kind.transports[0] ?? "stdio";
  if (rest.program !== undefined && named !== "own-tools-codex")
    throw usage("Cannot use --program: it is for codex with --own-tools", "--program");
  if (rest.ownTools === true && rest.readOnly === true)
    throw usage("Cannot use --read-only with --own-tools: they run commands", "--read-only");
  if (write === true && remove === true)
    throw usage("Cannot use --write and --remove together", "--remove", "doorward help connect");
  if (!kind.transports.includes(transport))
    throw usage(
      `Cannot connect ${client} over ${transport}: it has ${kind.transports.join(" and ")}`,
      "--transport",
      `doorward connect ${client} --transport ${kind.transports.at(-1) ?? "stdio"}`,
    );
  if (rest.for !== undefined && transport === "stdio" && remove !== true)
    throw usage(
      "Cannot use --for with stdio: its grant is minted and renewed while it is used",
      "--for",
      `doorward connect ${client} --transport http --for ${rest.for}`,
    );
  if (
    rest.scope === "project" &&
    (rest.ownTools === true || client === "openclaw" || client === "hermes" || client === "generic")
  )
    throw usage(`Cannot use --scope project: ${client} has no configuration of a folder`, "--scope");
  if (client === "generic" && write === true && transport === "stdio")
    throw usage(
      "Cannot write: there is no file that every client reads",
      "--write",
      "doorward connect generic",
    );
  return named;
}
