import { connect, type DoorwardClient } from "@doorward/client";
import { DoorwardError } from "@doorward/contracts";
import { buildId } from "../build-id.ts";
import { bridgeGone, bridgePlace, bridgeSettled, probeBridge, startBridge } from "./bridge-process.ts";
import type { Cli } from "./cli.ts";
import type { Output } from "./output.ts";

/** Where a grant's holder finds the bridge when `DOORWARD_URL` is not set. */
export const DEFAULT_URL = "http://127.0.0.1:7611";
const READY_TIMEOUT_MS = 60_000;

/** How much of the bridge a command needs. */
export interface LinkNeeds {
  /** Wait until machines can be launched, or until the bridge says what keeps it from that. */
  readonly ready?: boolean;
  /** Start the bridge when none answers; true when absent. */
  readonly start?: boolean;
}

/** Whether this command acts for a grant instead of the operator. */
export function actsForGrant(env: Cli["env"]): boolean {
  return (env["DOORWARD_TOKEN"] ?? "") !== "";
}

/**
 * A client for this command: for the grant in `DOORWARD_TOKEN` when that is set, and then it never acts as the operator,
 * not even over the socket (`DOORWARD_URL=unix:/path`);
 * else the operator's, with a bridge of this build that is started when there is none.
 */
export async function openClient(cli: Cli, output: Output, needs: LinkNeeds = {}): Promise<DoorwardClient> {
  const token = cli.env["DOORWARD_TOKEN"] ?? "";
  if (token !== "") return connect({ url: cli.env["DOORWARD_URL"] || DEFAULT_URL, token });
  const place = bridgePlace(cli.env);
  await ensureBridge(cli, output, needs.start ?? true);
  const client = connect({ socketPath: place.socket });
  if (needs.ready === true) {
    const problems = async (): Promise<readonly string[]> =>
      (await client.call("bridge.status", {})).problems;
    await bridgeSettled(place.socket, problems, READY_TIMEOUT_MS, cli.signal);
  }
  return client;
}

/** Makes sure that a bridge of this build answers on the operator's socket. */
async function ensureBridge(cli: Cli, output: Output, start: boolean): Promise<void> {
  const place = bridgePlace(cli.env);
  if ((await probeBridge(place.socket)) !== "absent") {
    const client = connect({ socketPath: place.socket });
    const status = await client.call("bridge.status", {}, { signal: cli.signal });
    if (status.build === buildId() || !start) return;
    output.info("Restarting the bridge: it is of another build; machines keep running");
    await client.call("bridge.stop", {}, { signal: cli.signal });
    await bridgeGone(place);
  } else if (!start) throw notRunning(place.socket);
  await startBridge(place, cli, (elapsedMs) =>
    output.info(`Starting the bridge ... ${Math.round(elapsedMs / 1000)}s`),
  );
}

function notRunning(socket: string): DoorwardError {
  return new DoorwardError({
    code: "BRIDGE_UNREACHABLE",
    message: `Cannot reach the bridge at "${socket}": it is not running`,
    hint: "doorward bridge restart",
  });
}
