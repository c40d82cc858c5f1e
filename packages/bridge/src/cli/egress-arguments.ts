import { EgressHost } from "@doorward/contracts";
import type { Command } from "commander";
import { parseArgument, usage } from "./parse-input.ts";
import { namedMachine } from "./resolve-machine.ts";

/** A machine, if one was named, and a host. */
export interface MachineAndHost {
  readonly named: string | undefined;
  readonly host: string;
}

/** Declares the arguments of commands about one host of a machine. */
export function machineAndHostArguments(command: Command): Command {
  return command
    .usage("[options] [machine] <host>")
    .argument("<machine-or-host>", "machine, or the host where one machine has the current folder")
    .argument("[host]", "host name, e.g. registry.npmjs.org; *.example.com for any one label in front");
}

/** Reads the arguments of {@link machineAndHostArguments}: one alone is the host. */
export function machineAndHost(first: unknown, second: unknown): MachineAndHost {
  if (second === undefined && !String(first).includes(".")) {
    const hint = `doorward egress allow ${String(first)} registry.npmjs.org`;
    throw usage("Cannot change what a machine may reach: no host is named", "host", hint);
  }
  const host = parseArgument("host", EgressHost, String(second ?? first).toLowerCase());
  return { named: second === undefined ? undefined : namedMachine(first), host };
}
