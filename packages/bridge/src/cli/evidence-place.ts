import { join, resolve } from "node:path";
import { connect } from "@doorward/client";
import { resolveFolders } from "../state/index.ts";
import { actsForGrant } from "./bridge-link.ts";
import { bridgePlace, probeBridge } from "./bridge-process.ts";
import type { Cli } from "./cli.ts";

/**
 * Folder of the log: the one that was named, else this installation's own. A running bridge is asked first for a
 * checkpoint over everything that is durable; without one the folder is read as it is.
 */
export async function evidenceFolder(cli: Cli, given: string | undefined): Promise<string> {
  if (given !== undefined) return resolve(cli.cwd, given);
  return (await freshFolder(cli)) ?? join(resolveFolders(cli.env).state, "evidence", "log");
}

async function freshFolder(cli: Cli): Promise<string | undefined> {
  if (actsForGrant(cli.env)) return undefined;
  const { socket } = bridgePlace(cli.env);
  if ((await probeBridge(socket)) === "absent") return undefined;
  await using client = connect({ socketPath: socket });
  return (await client.call("evidence.checkpoint", {}, { signal: cli.signal })).dir;
}
