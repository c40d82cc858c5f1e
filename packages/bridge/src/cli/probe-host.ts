import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@doorward/client";
import { toDoorwardError, type HostFacts, type HostFinding } from "@doorward/contracts";
import { bridgePlace, probeBridge } from "./bridge-process.ts";
import type { Cli } from "./cli.ts";

/** What is known of this host: all facts, or the findings so far when machines can't be launched here. */
export interface HostReport {
  readonly facts: HostFacts | undefined;
  readonly findings: readonly HostFinding[];
}

/** What the running bridge found, or, without one, what can be found without it. */
export async function probeHost(cli: Cli): Promise<HostReport> {
  const asked = await fromBridge(cli).catch(() => undefined);
  if (asked !== undefined) return { facts: asked, findings: asked.findings };
  try {
    const facts = await directly(cli.signal);
    return { facts, findings: facts.findings };
  } catch (thrown) {
    const error = toDoorwardError(thrown);
    const id = error.code.toLowerCase().replaceAll("_", ".");
    const finding: HostFinding = {
      id,
      state: "missing",
      found: error.message,
      costs: "Machines can't be launched",
      fix: error.hint ?? null,
    };
    return { facts: undefined, findings: [finding] };
  }
}

async function fromBridge(cli: Cli): Promise<HostFacts | undefined> {
  const { socket } = bridgePlace(cli.env);
  if ((await probeBridge(socket)) !== "ready") return undefined;
  await using client = connect({ socketPath: socket });
  return await client.call("host.facts", {}, { signal: cli.signal });
}

/** Looks at the host and tries the runtimes as the engine does, in a folder of its own that is gone afterwards. */
async function directly(signal: AbortSignal): Promise<HostFacts> {
  const [{ readLinuxHost }, { chooseRuntime }, { describeHost }] = await Promise.all([
    import("../hosts/linux/linux-host.ts"),
    import("../machines/podman/runtime-choice.ts"),
    import("../machines/podman/host-facts.ts"),
  ]);
  const folder = mkdtempSync(join(tmpdir(), "doorward-doctor-"));
  try {
    const host = readLinuxHost();
    return describeHost(host, await chooseRuntime(host, folder, folder, signal), null);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
