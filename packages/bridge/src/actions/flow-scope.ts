import { createHash } from "node:crypto";
import type { ActionPolicy, HostActionRequest, Policy } from "@doorward/contracts";
import { canonicalJson } from "../evidence/canonical.ts";
import { ActionError } from "./action-error.ts";
import { processScopes } from "./scopes/index.ts";

/** Digest of a JSON value. */
export function digestOf(value: unknown): string {
  return `sha256:${createHash("sha256").update(canonicalJson(value)).digest("hex")}`;
}

/** Id of the scope that a request names; null for actions without one. */
export function scopeOf(request: HostActionRequest): string | null {
  return "scope" in request.payload ? request.payload.scope : null;
}

/** Digest of everything that the policy says of what a request acts in; SCOPE_DENIED when it says nothing. */
export function scopeVersion(policy: Policy, request: HostActionRequest): string {
  const { actions } = policy;
  const found = actions === undefined ? undefined : scopeText(actions, request);
  if (found !== undefined) return digestOf(found);
  const scope = scopeOf(request);
  const what = scope === null ? `"${request.action}"` : `scope "${scope}"`;
  throw scopeDenied(`Cannot do "${request.action}": the policy has no line for ${what}`);
}

/** The refusal of what the policy has no scope for. */
function scopeDenied(message: string): ActionError {
  return new ActionError({
    code: "SCOPE_DENIED",
    message,
    scopeViolation: { reason: "SCOPE_NOT_CONFIGURED", message: message.slice(0, 1000) },
  });
}

function scopeText(actions: ActionPolicy, request: HostActionRequest): unknown {
  const { clipboard, hosts, files = [] } = actions;
  switch (request.action) {
    case "system.clipboard.read":
      return clipboard?.read === true
        ? { read: true, confirm: clipboard.confirmRead ?? "always" }
        : undefined;
    case "system.clipboard.write":
      return clipboard?.write === true
        ? { write: true, confirm: clipboard.confirmWrite ?? "always" }
        : undefined;
    case "system.hosts.write":
    case "system.host.write":
      return hosts;
    case "system.fs.mutate":
      return files.find(({ id }) => id === request.payload.scope);
    case "system.process.exec":
    case "system.workflow.run":
      return processScopes(actions).find(({ id }) => id === request.payload.scope);
  }
}
