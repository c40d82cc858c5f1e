import { DenialError } from "@doorward/contracts";
import type { EgressPermit } from "../ports.ts";
import { pairs, redirects, type RawHeaders } from "./header-rules.ts";

/** Forms of a path that a server may read as another one: encoded dots, slashes, percents and controls, empty and dot segments. */
const AMBIGUOUS = /%(?:2e|2f|5c|25|[01][0-9a-f]|7f|u)|%(?![0-9a-f]{2})|\\|\/\/|;|\/\.{1,2}(?:\/|$)/i;

/** Refuses a request whose method or path its rule does not name (EGRESS_DENIED). */
export function refuseUnlisted(
  permit: EgressPermit,
  method: string,
  target: string,
  rawHeaders: RawHeaders,
): void {
  if (permit.methods === null && permit.paths === null) return;
  for (const [name] of pairs(rawHeaders)) {
    if (redirects(name)) throw denied(permit, `header "${name}" could change its method or path`);
  }
  if (permit.methods !== null && !permit.methods.includes(method)) {
    throw denied(permit, `the rule does not name method "${method}"`);
  }
  if (permit.paths === null) return;
  const [path = ""] = target.split("?", 1);
  if (AMBIGUOUS.test(path)) throw denied(permit, "the path can be read in more than one way");
  if (!permit.paths.some((prefix) => within(path, prefix))) {
    throw denied(permit, "the rule names no prefix of the path");
  }
}

/** A prefix ends where a segment does: `/org` holds `/org` and `/org/x`, not `/organs`. */
function within(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return prefix.endsWith("/") || path.length === prefix.length || path[prefix.length] === "/";
}

function denied(permit: EgressPermit, why: string): DenialError {
  const { host, machine } = permit.target;
  return new DenialError({
    code: "EGRESS_DENIED",
    message: `Cannot let machine "${machine.name}" send a request to "${host}": ${why}`,
    rule: permit.rule,
  });
}
