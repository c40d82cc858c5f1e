import { resolve } from "node:path";
import type { Command } from "commander";
import * as z from "zod";
import type { Cli } from "../cli.ts";
import { parseOptions, usage } from "../parse-input.ts";
import { namedMachine } from "../resolve-machine.ts";
import { leaf, type Run } from "../run.ts";
import { configText, wrapperText } from "../ssh/config-text.ts";
import { proxyWords, removeSshFiles, writeSshFiles } from "../ssh/files.ts";
import { SSH_SUFFIX, sshPlace } from "../ssh/place.ts";
import { addInclude, removeInclude, userConfig } from "../ssh/user-config.ts";

const SshConfigOptions = z.object({
  print: z.boolean().optional(),
  install: z.boolean().optional(),
  remove: z.boolean().optional(),
  standIn: z.boolean().optional(),
  tokenFile: z.string().min(1).optional(),
});

/** `doorward ssh-config`. */
export function defineSshConfig(command: Command, cli: Cli): void {
  command
    .argument("[machine]", "with --print: only this one, by name or id")
    .option("--print", "print the configuration")
    .option(
      "--stand-in",
      "print a program that takes the place of ssh, for those that read no configuration of yours",
    )
    .option(
      "--token-file <path>",
      "what is printed acts for the grant whose token is in this file, never as the operator",
    )
    .option("--install", "also include it at the top of ~/.ssh/config, keeping a copy of that")
    .option("--remove", "delete it with its keys, and take the line out of ~/.ssh/config");
  leaf(
    command,
    cli,
    ["doorward ssh-config", "doorward ssh-config --install", "doorward ssh-config shop --print"],
    async (run, [machine], options) => {
      const { print, install, remove, standIn, tokenFile } = parseOptions(SshConfigOptions, options);
      const named = namedMachine(machine);
      const token = tokenFile === undefined ? undefined : resolve(run.cli.cwd, tokenFile);
      if ([print, standIn, install, remove].filter((each) => each === true).length > 1) throw tooMany();
      if (named !== undefined && print !== true) throw needsPrint(named);
      if (token !== undefined && print !== true && standIn !== true) throw printOnly();
      if (remove === true) return takeBack(run);
      if (print !== true && standIn !== true) return await write(run, install === true);
      const place = await writeSshFiles(run.cli);
      const proxy = proxyWords(run.cli, token);
      const text = standIn === true ? wrapperText(place, proxy) : configText(place, proxy, named);
      run.output.result(standIn === true ? { program: text } : { config: text }, () => text);
      return 0;
    },
  );
}

async function write(run: Run, install: boolean): Promise<number> {
  const { config, identity, knownHosts } = await writeSshFiles(run.cli);
  const { path, line } = userConfig(run.cli.env, config);
  if (install) addInclude(run.cli.env, config);
  run.output.result({ config, identity, knownHosts, include: line, installed: install }, () =>
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
    "Cannot use more than one of --print, --stand-in, --install and --remove",
    "options",
    "doorward help ssh-config",
  );
}

function printOnly(): Error {
  const message = "Cannot use --token-file here: the files that are written serve the operator";
  return usage(message, "--token-file", "doorward ssh-config --stand-in --token-file FILE");
}

function needsPrint(machine: string): Error {
  return usage(
    `Cannot write a configuration for machine "${machine}" alone: the file serves all machines`,
    "machine",
    `doorward ssh-config ${machine} --print`,
  );
}
