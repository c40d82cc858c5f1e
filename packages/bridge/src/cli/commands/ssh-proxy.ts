import type { Command } from "commander";
import * as z from "zod";
import { openClient } from "../bridge-link.ts";
import type { Cli } from "../cli.ts";
import { parseMachine, parseOptions } from "../parse-input.ts";
import { leaf, runsChild } from "../run.ts";
import { carryConnection } from "../ssh/connection.ts";
import { SSH_SUFFIX } from "../ssh/place.ts";
import { readToken } from "../ssh/token-file.ts";

const SshProxyOptions = z.object({ tokenFile: z.string().min(1).optional() });

/** `doorward ssh-proxy`. */
export function defineSshProxy(command: Command, cli: Cli): void {
  command
    .argument("<machine>", `name or id, with or without ${SSH_SUFFIX}`)
    .option(
      "--token-file <path>",
      "act for the grant whose token is in this file, and never as the operator",
    );
  leaf(
    command,
    cli,
    [`ssh -o ProxyCommand='doorward ssh-proxy %h' agent@shop${SSH_SUFFIX}`],
    runsChild(async (run, [machine], options) => {
      const { tokenFile } = parseOptions(SshProxyOptions, options);
      const name = machineOf(String(machine));
      await using client = await openClient(actingFor(run.cli, tokenFile), run.output);
      return await carryConnection(run.cli, client, name);
    }),
  );
}

function actingFor(cli: Cli, tokenFile: string | undefined): Cli {
  return tokenFile === undefined
    ? cli
    : { ...cli, env: { ...cli.env, DOORWARD_TOKEN: readToken(tokenFile) } };
}

/** The machine that a host's name means. */
function machineOf(host: string): string {
  return parseMachine(host.endsWith(SSH_SUFFIX) ? host.slice(0, -SSH_SUFFIX.length) : host);
}
