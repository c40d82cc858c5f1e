import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { basename, posix, relative, sep } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";
import type { DoorwardCommand } from "./doorward-command.ts";
import type { PluginConfig } from "./plugin-config.ts";

/** What OpenClaw says of the workspace that a machine is for. */
export interface Workspace {
  readonly scopeKey: string;
  /** Folder of the host. */
  readonly workspaceDir: string;
  readonly access: "none" | "ro" | "rw";
}

// What is read of a machine, so that the plugin goes with other versions of the command.
const Machine = z.looseObject({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  profile: z.string(),
  repos: z.array(
    z.looseObject({ hostPath: z.string(), machinePath: z.string(), access: z.enum(["ro", "rw"]) }),
  ),
});
/** A machine, as `doorward ls` tells of it. */
export type Machine = z.infer<typeof Machine>;

const MachineList = z.looseObject({ machines: z.array(Machine) });

/** Name of the machine that a scope gets: the same for the same scope, so that it outlives the gateway. */
export function machineNameOf(scopeKey: string): string {
  return `openclaw-${createHash("sha256").update(scopeKey).digest("hex").slice(0, 12)}`;
}

/** Whether a machine was launched for a scope, and goes away with it. */
export function isOwnMachine(name: string): boolean {
  return /^openclaw-[0-9a-f]{12}$/.test(name);
}

/** The machine for a workspace, running: the configured one, that of the scope, or a new one. Never the host. */
export async function machineFor(
  command: DoorwardCommand,
  config: PluginConfig,
  workspace: Workspace,
): Promise<Machine> {
  const name = config.machine ?? machineNameOf(workspace.scopeKey);
  const known = await findMachine(command, name);
  if (known?.state === "running") return known;
  const time = config.ttl === undefined ? [] : ["--ttl", config.ttl];
  if (known !== undefined) await command.run(["start", name, ...time]);
  else if (config.machine !== undefined) throw unknownMachine(config.machine, workspace.workspaceDir);
  else await launch(command, config, workspace, name, time);
  const found = await findMachine(command, name);
  if (found === undefined) throw unknownMachine(name, workspace.workspaceDir);
  return found;
}

/** A machine by name or id; undefined when there is none. */
export async function findMachine(command: DoorwardCommand, name: string): Promise<Machine | undefined> {
  const { machines } = MachineList.parse(await command.run(["ls"]));
  return machines.find((machine) => machine.name === name || machine.id === name);
}

async function launch(
  command: DoorwardCommand,
  { profile }: PluginConfig,
  { workspaceDir, access }: Workspace,
  name: string,
  time: readonly string[],
): Promise<void> {
  const chosen = profile === undefined ? [] : ["--profile", profile];
  const mount = access === "ro" ? ["--ro", workspaceDir] : [workspaceDir];
  await command.run(["up", ...mount, "--name", name, "--new", ...chosen, ...time]);
}

/** Where a folder of the host is in a machine; throws where it is not mounted, or with more access than OpenClaw allows. */
export async function workdirOf(machine: Machine, { workspaceDir, access }: Workspace): Promise<string> {
  const folder = await realpath(workspaceDir);
  for (const repo of machine.repos) {
    const inside = relative(repo.hostPath, folder);
    if (inside === ".." || inside.startsWith(`..${sep}`)) continue;
    if (access === "ro" && repo.access !== "ro") throw writable(machine.name, workspaceDir);
    return posix.join(repo.machinePath, ...inside.split(sep));
  }
  throw new DoorwardError({
    code: "PATH_NOT_ALLOWED",
    message: `Cannot use machine "${machine.name}" for workspace "${workspaceDir}": the folder is not mounted there`,
    hint: `doorward up ${workspaceDir} --name ${machine.name} --new, or set plugins.entries.doorward.config.workdir`,
  });
}

/** Where a launched machine will have a workspace, before there is one. */
export function expectedWorkdir(workspaceDir: string): string {
  return posix.join("/workspace", basename(workspaceDir));
}

function unknownMachine(name: string, workspaceDir: string): DoorwardError {
  return new DoorwardError({
    code: "MACHINE_NOT_FOUND",
    message: `Cannot use machine "${name}": there is none`,
    hint: `doorward up ${workspaceDir} --name ${name}`,
  });
}

function writable(name: string, workspaceDir: string): DoorwardError {
  return new DoorwardError({
    code: "PATH_NOT_ALLOWED",
    message: `Cannot use machine "${name}": OpenClaw's workspaceAccess is "ro", and commands there could write "${workspaceDir}"`,
    hint: `doorward up --ro ${workspaceDir} --name ${name} --new`,
  });
}
