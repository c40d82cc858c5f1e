import type { IncomingMessage } from "node:http";
import { DoorwardError } from "@doorward/contracts";
import type { GatewayLimits } from "./config.ts";
import { urlHasToken } from "./token.ts";

/** What a listener accepts in requests, before anyone asks who calls. */
export interface RequestRules {
  /** Host names that a Host header may carry, lower case. */
  readonly hosts: ReadonlySet<string>;
  /** Port that a Host header must carry; `undefined` on the Unix socket, where any or none will do. */
  readonly port: number | undefined;
  readonly origins: ReadonlySet<string>;
  readonly limits: GatewayLimits;
}

/** Names of loopback, as a Host header spells them. */
export const LOOPBACK_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

const singletons = new Set([
  "host",
  "origin",
  "authorization",
  "content-type",
  "content-length",
  "transfer-encoding",
  "upgrade",
  "sec-websocket-key",
  "sec-websocket-version",
  "sec-websocket-protocol",
]);

/** Refuses requests of a form, host or origin that is never served; throws the first reason. */
export function guardRequest(request: IncomingMessage, rules: RequestRules): void {
  guardUrl(request.url ?? "", rules.limits.urlChars);
  guardHeaders(request.rawHeaders, rules.limits.headerCount);
  guardHost(request.headers.host, rules);
  guardOrigin(request, rules.origins);
}

function guardUrl(url: string, limit: number): void {
  if (urlHasToken(url)) {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: "Cannot accept the request: its URL contains a token",
      hint: "Send it as Authorization: Bearer, and revoke this one: URLs end up in logs and histories",
    });
  }
  if (url.length > limit) {
    throw new DoorwardError({
      code: "INPUT_TOO_LARGE",
      message: `Cannot accept the request: its URL is longer than ${String(limit)} characters`,
    });
  }
  if (!/^\/[\u0021-\u007e]*$/.test(url) || url.includes("#")) {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: "Cannot accept the request: its target is not a path",
    });
  }
}

function guardHeaders(raw: readonly string[], limit: number): void {
  if (raw.length > limit * 2) {
    throw new DoorwardError({
      code: "INPUT_TOO_LARGE",
      message: `Cannot accept the request: it has more than ${String(limit)} headers`,
    });
  }
  const seen = new Set<string>();
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]?.toLowerCase() ?? "";
    if (singletons.has(name) && seen.has(name)) {
      throw new DoorwardError({
        code: "INPUT_INVALID",
        message: `Cannot accept the request: header "${name}" is given twice`,
      });
    }
    seen.add(name);
  }
}

function guardHost(host: string | undefined, rules: RequestRules): void {
  const { name, port } = splitHost(host ?? "");
  const portFits =
    rules.port === undefined || port === String(rules.port) || (port === "" && rules.port === 80);
  if (rules.hosts.has(name) && portFits) return;
  throw new DoorwardError({
    code: "HOST_NOT_ALLOWED",
    message: "Cannot accept the request: its Host header does not name this bridge",
    hint: "Call it by the address and port that `doorward bridge status` shows",
  });
}

function splitHost(host: string): { readonly name: string; readonly port: string } {
  const parts = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([0-9]{1,5}))?$/.exec(host.toLowerCase());
  return { name: parts?.[1] ?? "", port: parts?.[2] ?? "" };
}

/**
 * Browsers send an Origin with everything but plain cross-site GETs, and mark those by Sec-Fetch-Site. Programs send
 * neither.
 */
function guardOrigin(request: IncomingMessage, origins: ReadonlySet<string>): void {
  const origin = request.headers.origin;
  if (origin !== undefined && origins.has(origin)) return;
  const site = request.headers["sec-fetch-site"];
  const foreign = site !== undefined && site !== "none" && site !== "same-origin";
  if (origin === undefined && !foreign) return;
  throw new DoorwardError({
    code: "ORIGIN_NOT_ALLOWED",
    message: "Cannot accept the request: it comes from a web page that is not allowed to call",
    hint: "Allow the page's origin in the bridge's configuration if it is yours",
  });
}
