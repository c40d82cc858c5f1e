import { DoorwardError, TerminalId } from "@doorward/contracts";
import type { DoorwardClient, TerminalEnd } from "@doorward/client";
import type { Command } from "commander";
import * as z from "zod";
import { actsForGrant } from "../bridge-link.ts";
import { bridgePlace, probeBridge, startBridge } from "../bridge-process.ts";
import type { Cli } from "../cli.ts";
import { didYouMean } from "../../did-you-mean.ts";
import { parseOptions, usage } from "../parse-input.ts";
import { addProgramOptions, parseProgram } from "../program-options.ts";
import { namedMachine, resolveMachine } from "../resolve-machine.ts";
import { leaf, runsChild, type Run } from "../run.ts";
import { table } from "../table.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "../terminal/detach-keys.ts";
import { exitCodeOf } from "../terminal/exit-code.ts";
import { terminalEnvironment } from "../terminal/terminal-environment.ts";
import { Viewer, type ViewerOptions } from "../terminal/viewer.ts";

const AttachOptions = z.object({
  terminal: TerminalId.optional(),
  observe: z.boolean().optional(),
  take: z.boolean().optional(),
  list: z.boolean().optional(),
  detachKeys: z.string().max(100).default(DEFAULT_DETACH_KEYS),
});
type AttachOptions = z.infer<typeof AttachOptions>;

/** `doorward attach`. */
export function defineAttach(command: Command, cli: Cli): void {
  command
    .usage("[options] [machine] [-- CMD [ARG...]]")
    .argument("[machine]", "name or id; may be left out where one machine has the current folder")
    .option("-t, --terminal <id>", "attach to this terminal instead of opening a new one")
    .option("--observe", "watch without typing")
    .option("--take", "take control from whoever has it")
    .option("--list", "list the machine's terminals")
    .option(
      "--detach-keys <keys>",
      `keys that leave the terminal running (default: "${DEFAULT_DETACH_KEYS}")`,
    );
  addProgramOptions(command);
  leaf(
    command,
    cli,
    [
      "doorward attach",
      "doorward attach shop -- htop",
      "doorward attach shop --terminal t_4k2j8d0s1q",
      "doorward attach --list",
    ],
    runsChild(async (run, [given], options) => {
      const chosen = checkOptions(cli, parseOptions(AttachOptions, options));
      const detachKeys = parseDetachKeys(chosen.detachKeys);
      const program = parseProgram(options);
      const named = namedMachine(given);
      await using client = await run.client();
      const machine = await resolveMachine(run, client, named);
      if (chosen.list === true) return await listTerminals(run, client, machine);
      return await attach(run, client, { ...viewerOptions(run, machine, chosen, program), detachKeys });
    }),
  );
}

function checkOptions(cli: Cli, options: AttachOptions): AttachOptions {
  if (options.observe === true && options.terminal === undefined) {
    throw usage("Cannot observe: which terminal is not said", "--terminal", "doorward attach --list");
  }
  if (options.terminal !== undefined && cli.passthrough.length > 0) {
    throw usage(
      "Cannot run a command in a terminal that exists: only a new one takes a command",
      "--terminal",
    );
  }
  return options;
}

function viewerOptions(
  run: Run,
  machine: string,
  options: AttachOptions,
  program: ReturnType<typeof parseProgram>,
): Omit<ViewerOptions, "detachKeys"> {
  const { cli } = run;
  const fresh = {
    argv: cli.passthrough.length === 0 ? undefined : cli.passthrough,
    cwd: program.cwd,
    env: { ...terminalEnvironment(cli.env), ...program.env },
  };
  return {
    machine,
    observe: options.observe === true,
    attach: {
      ...(options.terminal === undefined ? fresh : { terminal: options.terminal }),
      mode: options.observe === true ? "observe" : "attach",
      take: options.take,
    },
    watching: (terminal) =>
      run.output.commands(
        `another viewer controls it and you watch; leave with ${options.detachKeys.replaceAll(",", " ")}, take it with: doorward attach ${machine} --take -t ${terminal}`,
      ),
    revive: revival(cli),
  };
}

async function attach(run: Run, client: DoorwardClient, options: ViewerOptions): Promise<number> {
  const viewer = new Viewer(run.cli, options);
  const end = await viewer.view(client).catch(async (error: unknown) => {
    throw await explained(error, run, client, options);
  });
  if (end.kind === "detached") showDetached(run, options.machine, viewer.terminalId);
  return exitCode(run, end);
}

/** An unknown terminal with the one that was probably meant, and the command that lists them. */
async function explained(
  error: unknown,
  { cli }: Run,
  client: DoorwardClient,
  { machine, attach: { terminal } }: ViewerOptions,
): Promise<unknown> {
  if (!(error instanceof DoorwardError) || error.code !== "TERMINAL_NOT_FOUND" || terminal === undefined)
    return error;
  const listed = await client
    .call("machines.terminals", { params: { machine } }, { signal: cli.signal })
    .catch(() => ({ terminals: [] }));
  const near = didYouMean(
    terminal,
    listed.terminals.map(({ id }) => id),
  );
  return new DoorwardError({
    code: error.code,
    message: `Cannot attach to terminal "${terminal}": machine "${machine}" has none of this id${near}`,
    hint: `doorward attach ${machine} --list`,
    cause: error,
  });
}

/** The cursor may stand anywhere in what the program drew. */
function showDetached({ cli, output }: Run, machine: string, terminal: string): void {
  if (output.json) return;
  cli.stderr.write("\n");
  output.info(output.commands(`Detached; back with: doorward attach ${machine} --terminal ${terminal}`));
}

function exitCode(run: Run, end: TerminalEnd): number {
  if (end.kind === "exit") return exitCodeOf(end);
  // A signal detached: the process ends with that signal's code.
  if (end.kind === "detached") return run.cli.signal.aborted ? 1 : 0;
  run.cli.stderr.write("\n");
  throw end.error;
}

/** How long a bridge that was told to stop is given to come back before this command would start one: never. */
function revival(cli: Cli): (error: DoorwardError, elapsedMs: number) => Promise<void> {
  let toldToStop = false;
  let before = 0;
  return async (error, elapsedMs) => {
    // Time that went back is another outage: what was said in the last one does not count any more.
    toldToStop = error.code === "BRIDGE_STOPPING" || (toldToStop && elapsedMs >= before);
    before = elapsedMs;
    if (toldToStop || elapsedMs < 200 || actsForGrant(cli.env)) return;
    const place = bridgePlace(cli.env);
    if ((await probeBridge(place.socket)) === "absent") await startBridge(place, cli, () => undefined);
  };
}

async function listTerminals(run: Run, client: DoorwardClient, machine: string): Promise<number> {
  const result = await client.call("machines.terminals", { params: { machine } }, { signal: run.cli.signal });
  run.output.result(result, () =>
    table(
      ["TERMINAL", "OPENED BY", "KIND", "STATE", "VIEWERS", "COMMAND"],
      result.terminals.map((terminal) => [
        terminal.id,
        terminal.createdBy ?? "-",
        terminal.kind ?? "-",
        terminal.running ? "running" : "ended",
        String(terminal.viewers),
        terminal.command,
      ]),
    ),
  );
  return 0;
}
