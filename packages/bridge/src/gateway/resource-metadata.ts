import type { IncomingMessage } from "node:http";
import type { DoorwardError } from "@doorward/contracts";
import { decodeSegments } from "./route-table.ts";

const wellKnown = "/.well-known/oauth-protected-resource";

/** Whether a path asks for the metadata of a protected resource. */
export function asksForMetadata(path: string): boolean {
  return path === wellKnown || path.startsWith(`${wellKnown}/`);
}

/**
 * RFC 9728 metadata of the resource that a path names. No authorization server is named, because there is none: the
 * operator mints tokens with `doorward grant create`. It looks the same whether or not the resource exists.
 */
export function metadataOf(request: IncomingMessage): object {
  const path = (request.url ?? "").slice(wellKnown.length);
  return {
    resource: originOf(request) + plain(path),
    resource_name: "Doorward",
    bearer_methods_supported: ["header"],
  };
}

/** Headers of a refusal for want of a valid token: what is wrong with it, and where the resource is described. */
export function challengeHeaders(error: DoorwardError, request: IncomingMessage): Record<string, string> {
  if (error.entry.status !== 401) return {};
  const metadata = `${originOf(request)}${wellKnown}${plain(pathOf(request))}`;
  const invalid =
    error.code === "TOKEN_MISSING" ? "" : `, error="invalid_token", error_description="${error.code}"`;
  return { "www-authenticate": `Bearer realm="doorward"${invalid}, resource_metadata="${metadata}"` };
}

/** The Host header was judged, or what is said of it goes back to its sender alone. */
function originOf(request: IncomingMessage): string {
  const host = request.headers.host ?? "";
  return `http://${/^[A-Za-z0-9.:[\]-]{1,255}$/.test(host) ? host : "localhost"}`;
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

/** A path with nothing in it that would end a quoted string. */
function plain(path: string): string {
  return decodeSegments(path).map(encodeURIComponent).join("/");
}
