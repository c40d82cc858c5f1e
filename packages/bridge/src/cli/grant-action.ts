import type { DoorwardClient } from "@doorward/client";
import type { Command } from "commander";
import type { Cli } from "./cli.ts";
import { parseGrant } from "./parse-input.ts";
import { leaf, type Run } from "./run.ts";

/** A command about one grant: how its options are read, and what it does with them. */
export interface GrantCommand<Options> {
  readonly examples: readonly string[];
  /** Checks the options, before the bridge is asked. */
  readonly parse: (options: unknown) => Options;
  readonly act: (run: Run, client: DoorwardClient, grant: string, options: Options) => Promise<number>;
}

/** Declares a command about one grant, whose id is checked before the bridge is asked. */
export function grantCommand<Options>(command: Command, cli: Cli, declared: GrantCommand<Options>): void {
  command.argument("<grant>", "id of the grant, g_...");
  leaf(command, cli, declared.examples, async (run, [given], options) => {
    const grant = parseGrant(String(given));
    const parsed = declared.parse(options);
    await using client = await run.client();
    return await declared.act(run, client, grant, parsed);
  });
}
