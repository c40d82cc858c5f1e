import { Duration } from "@doorward/contracts";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { machineCommand } from "../machine-action.ts";
import { parseOptions } from "../parse-input.ts";
import { Progress } from "../progress.ts";
import { stops } from "../up-view.ts";

const StartOptions = z.object({ ttl: Duration.optional() });

/** `doorward start`. */
export function defineStart(command: Command, cli: Cli): void {
  command.option("--ttl <time>", "time after which it is stopped, e.g. 8h");
  machineCommand(command, cli, {
    examples: ["doorward start shop", "doorward start shop --ttl 2h"],
    parse: (given) => parseOptions(StartOptions, given),
    ready: true,
    act: async (run, client, machine, { ttl }) => {
      using progress = new Progress(run.cli, run.output);
      const body = ttl === undefined ? {} : { timeToLive: ttl };
      const options = { signal: run.cli.signal, onProgress: progress.line };
      const view = await client.call("machines.start", { params: { machine }, body }, options);
      progress.done();
      run.output.result(view, () => `${view.name} is running (${stops(view.expiresAt)})`);
      return 0;
    },
  });
}
