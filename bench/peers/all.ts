import type { Bench } from "../lib/bench.ts";
import type { Beside } from "../lib/row.ts";
import { doorwardPeer } from "./doorward.ts";
import { missing } from "./missing.ts";
import { podmanPeer, PodmanCommand } from "./podman.ts";
import { rawPeer } from "./pty.ts";
import type { TerminalPeer } from "./terminal.ts";

/** Everybody who opens terminals here, and who can't. */
export interface TerminalPeers {
  readonly ours: TerminalPeer;
  readonly raw: TerminalPeer;
  readonly sshd: TerminalPeer | undefined;
  readonly podman: TerminalPeer;
  readonly absent: readonly Beside[];
}

/** Opens what all terminal rows are measured beside. */
export async function terminalPeers(bench: Bench): Promise<TerminalPeers> {
  const [client, machine, lab, sshd] = [
    await bench.client(),
    await bench.machine(),
    await bench.lab(),
    await bench.sshd(),
  ];
  const [container = ""] = (await lab.containers()).map((line) => line.split(" ")[0] ?? "");
  return {
    ours: doorwardPeer(client, machine.id),
    raw: rawPeer,
    sshd: missing(sshd) ? undefined : sshd,
    podman: podmanPeer(new PodmanCommand(lab), container),
    absent: missing(sshd) ? [{ name: "sshd on loopback", value: null, note: sshd.missing }] : [],
  };
}
