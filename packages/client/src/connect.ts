import { DoorwardError } from "@doorward/contracts";
import { DoorwardClient } from "./doorward-client.ts";
import { NodeTransport } from "./node-transport.ts";

/** Where a bridge is: its own Unix socket (the operator), or a loopback URL with a grant's token. */
export type Target = { readonly socketPath: string } | { readonly url: string; readonly token: string };

/** A client of the bridge at `target`; nothing is sent before the first call. */
export function connect(target: Target): DoorwardClient {
  if ("socketPath" in target) return new DoorwardClient(new NodeTransport({ socketPath: target.socketPath }));
  const url = parseUrl(target.url);
  if (!/^dwg_[A-Za-z0-9_-]{8,190}$/.test(target.token)) {
    throw new DoorwardError({
      code: "TOKEN_INVALID",
      message: "Cannot connect: the token does not have the form dwg_<id>_<secret>_<checksum>",
    });
  }
  return new DoorwardClient(new NodeTransport({ url, token: target.token }));
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.search === "")
    return url;
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot connect: "${text}" is not an http:// or https:// URL`,
  });
}
