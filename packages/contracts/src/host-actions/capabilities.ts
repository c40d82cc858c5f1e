import * as z from "zod";
import type { HostAction } from "./requests.ts";

/** Capabilities that open host actions; a scope has one of its own beside them. Aliases are listed with their first name. */
export const ACTION_CAPABILITIES = [
  "system.clipboard.read",
  "system.clipboard.write",
  "system.hosts.write",
  "system.process.exec",
] as const;

/** A capability that a grant can hold, by its first name; no other is known. */
export const ActionCapability = z
  .string()
  .max(110)
  .regex(
    /^system\.(?:clipboard\.(?:read|write)|hosts\.write|process\.exec|(?:fs|process)\.scope\.[a-z0-9][a-z0-9._-]{0,79})$/,
  )
  .describe("Capability of host actions, e.g. system.process.exec and system.process.scope.git");

const aliases: ReadonlyMap<string, string> = new Map([["system.host.write", "system.hosts.write"]]);

/** The capability that a scope of files asks for: `system.fs.scope.<id>`; other characters than a-z 0-9 . _ - become hyphens. */
export function filesystemScopeCapability(scope: string): string {
  return `system.fs.scope.${scopeName(scope)}`;
}

/** The capability that a scope of processes asks for: `system.process.scope.<id>`. */
export function processScopeCapability(scope: string): string {
  return `system.process.scope.${scopeName(scope)}`;
}

/** Every capability that an action needs, the broad one and that of its scope. */
export function capabilitiesFor(action: HostAction, scope: string | null): readonly string[] {
  switch (action) {
    case "system.clipboard.read":
    case "system.clipboard.write":
    case "system.hosts.write":
      return [action];
    case "system.fs.mutate":
      return ["system.hosts.write", filesystemScopeCapability(scope ?? "")];
    case "system.process.exec":
    case "system.workflow.run":
      return ["system.process.exec", processScopeCapability(scope ?? "")];
  }
}

/** A capability by its first name; null for one that is unknown. */
export function knownCapability(capability: string): string | null {
  const name = aliases.get(capability) ?? capability;
  if (ACTION_CAPABILITIES.some((known) => known === name)) return name;
  return /^system\.(?:fs|process)\.scope\.[a-z0-9][a-z0-9._-]{0,79}$/.test(name) ? name : null;
}

function scopeName(scope: string): string {
  return scope
    .trim()
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-");
}
