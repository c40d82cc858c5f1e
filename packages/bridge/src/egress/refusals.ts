import { DenialError, type DoorwardError } from "@doorward/contracts";
import type { ActivityRow } from "./activity.ts";
import { readHost } from "./addresses.ts";
import type { KnownMachine } from "./machine-rules.ts";
import type { EgressPermit, EgressTarget } from "./ports.ts";

/** The command that allows a host for a machine. */
function allowCommand(machine: string, host: string, port: number): string {
  return `doorward egress allow ${machine} ${host}${port === 443 ? "" : ` --port ${port}`}`;
}

/** Whether a name is for local use. */
export function isLocal(name: string): boolean {
  const asked = readHost(name);
  return asked.kind === "name" && asked.local;
}

/** Host and port for a message. */
export function shownHost({ host, port }: EgressTarget): string {
  return `${JSON.stringify(host.slice(0, 300))} port ${port}`;
}

/** The refusal of a host that a pattern denies. */
export function deniedBy(target: EgressTarget, host: string, pattern: string): DenialError {
  return new DenialError({
    code: "EGRESS_DENIED",
    rule: `deny ${pattern}`,
    message: `Cannot reach "${host}" port ${target.port}: "${pattern}" is denied, and denials win`,
    hint: `doorward egress ls ${target.machine.name}`,
  });
}

/** The refusal of a host that no rule names. */
export function unknown(
  target: EgressTarget,
  host: string,
  machine: KnownMachine,
  cause?: DoorwardError,
): DenialError {
  return new DenialError({
    code: "EGRESS_DENIED",
    rule: "egress.none",
    message: `Cannot reach "${host}" port ${target.port}: ${cause === undefined ? "no rule allows it" : cause.message}`,
    hint: allowCommand(machine.name, host, target.port),
    cause,
  });
}

/** The refusal of a host that is an address or a local name. */
export function special(target: EgressTarget, why: string): DenialError {
  return new DenialError({
    code: "EGRESS_ADDRESS_DENIED",
    rule: "egress.guard",
    message: `Cannot reach ${shownHost(target)}: ${why}`,
    hint: "An internal host needs a rule with its addresses under egress.allow in policy.yaml",
  });
}

/** The refusal of a connection beyond the caps. */
export function tooMany({ target }: EgressPermit): DoorwardError {
  return new DenialError({
    code: "RATE_LIMITED",
    rule: "egress.connections",
    message: `Cannot reach "${target.host}": too many connections are open`,
  });
}

/** The command that would allow a host that was refused; null when none would. */
export function commandFor(machine: KnownMachine, { host, port, refused }: ActivityRow): string | null {
  const asked = readHost(host);
  const helps = refused?.code === "EGRESS_DENIED" && asked.kind === "name" && !asked.local;
  return helps ? allowCommand(machine.name, host, port) : null;
}

/** By command only names of the public internet are opened: an internal target needs the addresses of a rule. */
export function refuseUnusable(host: string): void {
  const asked = readHost(host.replace(/^\*\./, ""));
  const wide = host.startsWith("*.") && !host.slice(2).includes(".");
  if (asked.kind === "name" && !asked.local && !wide) return;
  throw new DenialError({
    code: "EGRESS_ADDRESS_DENIED",
    rule: "egress.guard",
    message: `Cannot allow "${host}": ${wide ? "it covers a whole top-level domain" : "it is no name of the public internet"}`,
    hint: "An internal host needs a rule with its addresses under egress.allow in policy.yaml",
  });
}

/** The refusal of a command that the policy overrules. */
export function deniedByPolicy(host: string, pattern: string): DenialError {
  return new DenialError({
    code: "POLICY_DENIED",
    rule: `egress.deny ${pattern}`,
    message: `Cannot allow "${host}": the policy denies "${pattern}", and denials win`,
    hint: "Remove it from egress.deny in policy.yaml",
  });
}
