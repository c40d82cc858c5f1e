import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { parseMachine } from "../parse-input.ts";
import { leaf, runsChild } from "../run.ts";
import { carryConnection } from "../ssh/connection.ts";
import { SSH_SUFFIX } from "../ssh/place.ts";

/** `doorward ssh-proxy`. */
export function defineSshProxy(command: Command, cli: Cli): void {
  command.argument("<machine>", `name or id, with or without ${SSH_SUFFIX}`);
  leaf(
    command,
    cli,
    [`ssh -o ProxyCommand='doorward ssh-proxy %h' agent@shop${SSH_SUFFIX}`],
    runsChild(async (run, [machine]) => {
      const name = machineOf(String(machine));
      await using client = await run.client();
      return await carryConnection(run.cli, client, name);
    }),
  );
}

/** The machine that a host's name means. */
function machineOf(host: string): string {
  return parseMachine(host.endsWith(SSH_SUFFIX) ? host.slice(0, -SSH_SUFFIX.length) : host);
}
