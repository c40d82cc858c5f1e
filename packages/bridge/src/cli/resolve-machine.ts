import { realpathSync } from "node:fs";
import { sep } from "node:path";
import type { DoorwardClient } from "@doorward/client";
import { DoorwardError, type MachineView } from "@doorward/contracts";
import { escapeLine } from "@doorward/client/operator";
import { parseMachine } from "./parse-input.ts";
import type { Run } from "./run.ts";

/** The machine that was named on the command line, checked before the bridge is asked; undefined when none was. */
export function namedMachine(given: unknown): string | undefined {
  return typeof given === "string" ? parseMachine(given) : undefined;
}

/** The machine that a command means: the one that was named, or the only one that has the current folder. */
export async function resolveMachine(
  run: Run,
  client: DoorwardClient,
  named: string | undefined,
): Promise<string> {
  if (named !== undefined) return named;
  const { machines } = await client.call("machines.list", {}, { signal: run.cli.signal });
  const folder = realpathSync(run.cli.cwd);
  return onlyOne(folder, machinesWith(folder, machines), machines.length).name;
}

/** Names of the machines that run. */
export async function runningMachines(run: Run, client: DoorwardClient): Promise<string[]> {
  const { machines } = await client.call("machines.list", {}, { signal: run.cli.signal });
  return machines.filter(({ state }) => state === "running").map(({ name }) => name);
}

/** Machines that have a folder, or one above it, as a repo. */
export function machinesWith(folder: string, machines: readonly MachineView[]): readonly MachineView[] {
  return machines.filter((machine) => machine.repos.some(({ hostPath }) => contains(hostPath, folder)));
}

function contains(root: string, folder: string): boolean {
  return folder === root || folder.startsWith(root.endsWith(sep) ? root : root + sep);
}

function onlyOne(folder: string, found: readonly MachineView[], all: number): MachineView {
  const [first, second] = found;
  if (first === undefined) {
    throw new DoorwardError({
      code: "MACHINE_NOT_FOUND",
      message: `Cannot choose a machine: none has the folder "${escapeLine(folder)}"`,
      hint: all === 0 ? "doorward up" : "doorward ls",
    });
  }
  if (second === undefined) return first;
  const names = found.map(({ name }) => name);
  throw new DoorwardError({
    code: "MACHINE_AMBIGUOUS",
    message: `Cannot choose a machine: ${names.map((name) => `"${name}"`).join(" and ")} have the folder "${escapeLine(folder)}"`,
    hint: "Name one of them",
    details: { machines: names },
  });
}
