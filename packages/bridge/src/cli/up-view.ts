import type { MachineView, UpResult } from "@doorward/contracts";
import { escapeLine } from "./escape-text.ts";
import type { Output } from "./output.ts";
import { table } from "./table.ts";
import { until } from "./times.ts";

/** What `up --json` prints. */
export function upDocument({ machine }: UpResult): unknown {
  const { name, id, fingerprint, evidence, repos } = machine;
  return { name, id, fingerprint, evidence, mounts: repos };
}

/** What `up` prints for people: what the machine sees, what to be careful with, the evidence, and what to do next. */
export function showUp(output: Output, { machine, reused, listed }: UpResult): string {
  const title = output.style("bold", machine.name);
  return [
    `${title} ${reused ? "is running already" : "is running"} (${machine.id}, profile ${escapeLine(machine.profile)}, ${stops(machine.expiresAt)})`,
    "",
    seen(machine),
    ...secrets(output, listed),
    ...machine.notices.map((notice) => `${output.style("yellow", "note:")} ${escapeLine(notice)}`),
    "",
    `evidence     ${machine.evidence === null ? "-" : `record ${machine.evidence}`}`,
    `fingerprint  ${machine.fingerprint ?? "-"}`,
    "",
    `  doorward attach ${machine.name}            a terminal in it`,
    `  doorward exec ${machine.name} -- CMD       run a command in it`,
    `  doorward stop ${machine.name}              stop it; rm deletes it`,
  ].join("\n");
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
