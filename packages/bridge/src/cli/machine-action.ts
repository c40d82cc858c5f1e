import type { DoorwardClient } from "@doorward/client";
import type { Command } from "commander";
import type { Cli } from "./cli.ts";
import { namedMachine, resolveMachine } from "./resolve-machine.ts";
import { leaf, type Run } from "./run.ts";

/** A command about one machine: how its options are read, what it does with them, and what it needs of the bridge. */
export interface MachineCommand<Options> {
  readonly examples: readonly string[];
  /** Checks the options, before the bridge is asked. */
  readonly parse: (options: unknown) => Options;
  readonly act: (run: Run, client: DoorwardClient, machine: string, options: Options) => Promise<number>;
  readonly ready?: boolean;
}

/** Declares a command about one machine, whose name may be left out in a folder that only one machine has. */
export function machineCommand<Options>(command: Command, cli: Cli, declared: MachineCommand<Options>): void {
  command.argument("[machine]", "name or id; may be left out where one machine has the current folder");
  leaf(command, cli, declared.examples, async (run, [given], options) => {
    const named = namedMachine(given);
    const parsed = declared.parse(options);
    await using client = await run.client({ ready: declared.ready === true });
    return await declared.act(run, client, await resolveMachine(run, client, named), parsed);
  });
}

/** For commands without options of their own. */
export function noOptions(): undefined {
  return undefined;
}
