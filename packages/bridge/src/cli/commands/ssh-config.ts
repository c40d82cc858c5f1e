import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseOptions, usage } from "../parse-input.ts";
import { namedMachine } from "../resolve-machine.ts";
import { leaf, type Run } from "../run.ts";
import { configText } from "../ssh/config-text.ts";
import { removeSshFiles, selfCommand, writeSshFiles } from "../ssh/files.ts";
import { SSH_SUFFIX, sshPlace } from "../ssh/place.ts";
import { addInclude, removeInclude, userConfig } from "../ssh/user-config.ts";

const SshConfigOptions = z.object({
  print: z.boolean().optional(),
  install: z.boolean().optional(),
  remove: z.boolean().optional(),
});

/** `doorward ssh-config`. */
export function defineSshConfig(command: Command, cli: Cli): void {
  command
    .argument("[machine]", "with --print: only this one, by name or id")
    .option("--print", "print the configuration and write nothing but the keys that it names")
    .option("--install", "also include it at the top of ~/.ssh/config, keeping a copy of that")
    .option("--remove", "delete it with its keys, and take the line out of ~/.ssh/config");
  leaf(
    command,
    cli,
    ["doorward ssh-config", "doorward ssh-config --install", "doorward ssh-config shop --print"],
    async (run, [machine], options) => {
      const { print, install, remove } = parseOptions(SshConfigOptions, options);
      const named = namedMachine(machine);
      if ([print, install, remove].filter((each) => each === true).length > 1) throw tooMany();
      if (named !== undefined && print !== true) throw needsPrint(named);
      if (remove === true) return takeBack(run);
      return print === true ? await show(run, named) : await write(run, install === true);
    },
  );
}

async function show(run: Run, machine: string | undefined): Promise<number> {
  const place = await writeSshFiles(run.cli);
  const text = configText(place, selfCommand(run.cli), machine);
  run.output.result({ config: text }, () => text);
  return 0;
}

async function write(run: Run, install: boolean): Promise<number> {
  const { config, command, identity, knownHosts } = await writeSshFiles(run.cli);
  const { path, line } = userConfig(run.cli.env, config);
  if (install) addInclude(run.cli.env, config);
  run.output.result({ config, command, identity, knownHosts, include: line, installed: install }, () =>
    [
      `${config} has machines as hosts of ssh, scp, sftp and rsync`,
      install ? `${path} includes it` : `Put this at the top of ${path} (--install does it):\n\n  ${line}\n`,
      `Then: ssh MACHINE${SSH_SUFFIX}`,
    ].join("\n"),
  );
  return 0;
}

function takeBack(run: Run): number {
  const place = sshPlace(run.cli.env);
  const line = removeInclude(run.cli.env, place.config);
  const files = removeSshFiles(place);
  run.output.result({ removed: line || files }, () =>
    line || files ? "Removed" : "There was nothing to remove",
  );
  return 0;
}

function tooMany(): Error {
  return usage(
    "Cannot use more than one of --print, --install and --remove",
    "options",
    "doorward help ssh-config",
  );
}

function needsPrint(machine: string): Error {
  return usage(
    `Cannot write a configuration for machine "${machine}" alone: the file serves all machines`,
    "machine",
    `doorward ssh-config ${machine} --print`,
  );
}
