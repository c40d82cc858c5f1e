import { DoorwardError } from "@doorward/contracts";
import { DoorwardClient } from "./doorward-client.ts";
import { NodeTransport } from "./node-transport.ts";

/**
 * Where a bridge is: its own Unix socket (the operator), or a URL with a grant's token: `http://` on loopback, or
 * `unix:/path/to/bridge.sock`, where the bridge sees the grant and not the operator.
 */
export type Target = { readonly socketPath: string } | { readonly url: string; readonly token: string };

/** A client of the bridge at `target`; nothing is sent before the first call. */
export function connect(target: Target): DoorwardClient {
  if ("socketPath" in target) return new DoorwardClient(new NodeTransport({ socketPath: target.socketPath }));
  const place = placeOf(target.url);
  if (!/^dwg_[A-Za-z0-9_-]{8,190}$/.test(target.token)) {
    throw new DoorwardError({
      code: "TOKEN_INVALID",
      message: "Cannot connect: the token does not have the form dwg_<id>_<secret>_<checksum>",
    });
  }
  return new DoorwardClient(new NodeTransport({ ...place, token: target.token }));
}

function placeOf(text: string): { readonly socketPath: string } | { readonly url: URL } {
  const path = /^unix:(?:\/\/)?(\/[^\0?#]+)$/.exec(text)?.[1];
  return path === undefined ? { url: parseUrl(text) } : { socketPath: path };
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.search === "")
    return url;
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot connect: "${text}" is not an http://, https:// or unix:/ URL`,
  });
}
