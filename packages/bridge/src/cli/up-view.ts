import type { MachineView, UpResult } from "@doorward/contracts";
import { escapeLine } from "@doorward/client/operator";
import type { Output } from "./output.ts";
import { fields, table } from "./table.ts";
import { until } from "./times.ts";

/** What `up --json` prints. */
export function upDocument({ machine }: UpResult): unknown {
  const { name, id, fingerprint, evidence, repos } = machine;
  return { name, id, fingerprint, evidence, mounts: repos };
}

/** What `up` prints for people: what the machine sees, what to be careful with, and what to do next. */
export function showUp(output: Output, { machine, reused, listed }: UpResult, asked: number): string {
  const title = output.style("bold", machine.name);
  const state = !reused
    ? "is running"
    : startedSince(machine, asked)
      ? "is running again"
      : "is running already";
  return [
    `${title} ${state} (${machine.id}, profile ${escapeLine(machine.profile)}, ${stops(machine.expiresAt)})`,
    "",
    seen(machine),
    ...secrets(output, listed),
    "",
    nextCommands(output, machine),
  ].join("\n");
}

/** An existing machine may have been stopped; both clocks are this host's. */
function startedSince({ startedAt }: MachineView, asked: number): boolean {
  return startedAt !== null && Date.parse(startedAt) >= asked;
}

function nextCommands(output: Output, { name, notices }: MachineView): string {
  const noted =
    notices.length === 0 ? "" : `, ${notices.length === 1 ? "a note" : `${notices.length} notes`}`;
  const rows = [
    [`doorward attach ${name}`, "a terminal in it"],
    [`doorward exec ${name} -- CMD`, "run a command in it"],
    [`doorward inspect ${name}`, `what really runs: isolation, evidence${noted}`],
    [`doorward rm ${name}`, "delete it; stop keeps its home"],
  ].map(([command = "", what = ""]) => [output.commands(command), what] as const);
  return fields(rows)
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
}

/** A machine's state, and why where that says more. */
export function stateOf({ state, stateReason }: MachineView): string {
  return stateReason === null || stateReason === "stopped by command" ? state : `${state} (${stateReason})`;
}

/** When a machine stops, for people. */
export function stops(expiresAt: string | null): string {
  return expiresAt === null ? "does not stop by itself" : `stops ${until(expiresAt)}`;
}

/** The repos of a machine as a table. */
export function seen(machine: MachineView): string {
  const rows = machine.repos.map(({ hostPath, machinePath, access, review }) => [
    machinePath,
    access === "ro" ? "read only" : review ? "private clone" : "read, write",
    hostPath,
  ]);
  return table(["IT SEES", "AS", "ON THE HOST"], rows);
}

const SHOWN_SECRETS = 10;

function secrets(output: Output, listed: readonly string[]): string[] {
  if (listed.length === 0) return [];
  const more = listed.length > SHOWN_SECRETS ? [`  and ${listed.length - SHOWN_SECRETS} more`] : [];
  return [
    "",
    `${output.style("yellow", "It can read these, which look like secrets")} (mask them with --hide GLOB):`,
    ...listed.slice(0, SHOWN_SECRETS).map((path) => `  ${escapeLine(path)}`),
    ...more,
  ];
}
