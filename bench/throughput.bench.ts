import { besideOf, within, type BenchPart, type Beside } from "./lib/row.ts";
import { interleave, summarise } from "./lib/summary.ts";
import { terminalPeers } from "./peers/all.ts";
import type { TerminalPeer } from "./peers/terminal.ts";

const ROUNDS = 7;
const LINE = "x".repeat(79);
const MB = 1_000_000;

/** Output of one terminal, read as fast as it comes. */
export const throughputPart: BenchPart = {
  id: "throughput",
  title: "terminal throughput",
  async run(bench) {
    const peers = await terminalPeers(bench);
    const everyone = [peers.ours, ...(peers.sshd === undefined ? [] : [peers.sshd]), peers.podman, peers.raw];
    const megabytes = bench.pick({ quick: 10, normal: 80, full: 200 });
    const rates = new Map<TerminalPeer, number[]>(everyone.map((peer) => [peer, []]));
    await interleave(everyone, bench.pick({ quick: 2, normal: ROUNDS }), async (peer, round) => {
      bench.say(`terminal throughput, round ${String(round + 1)}: ${peer.name}`);
      rates.get(peer)?.push(await throughput(peer, megabytes * MB));
    });
    const summary = (peer: TerminalPeer) => summarise(rates.get(peer) ?? []);
    const column = (peer: TerminalPeer): Beside => ({
      ...besideOf(peer.name, summary(peer)),
      p99: undefined,
    });
    const { p50, count } = summary(peers.ours);
    const sshd = peers.sshd && column(peers.sshd);
    return [
      {
        name: "terminal throughput, one session",
        unit: "MB/s",
        value: p50,
        samples: count,
        reach: ">= sshd",
        met: atLeast(p50, sshd),
        beside: [...everyone.filter((peer) => peer !== peers.ours).map(column), ...peers.absent],
        note: `${String(megabytes)} MB of 80-byte lines; MB are what the viewer got`,
      },
    ];
  },
};

function atLeast(value: number, beside: Beside | undefined): boolean | null {
  const less = within(value, 1, beside);
  return less === null ? null : !less || value === beside?.value;
}

/** Megabytes a second between the first output and the last; the time to start is not in it. */
async function throughput(peer: TerminalPeer, bytes: number): Promise<number> {
  const command = `yes ${LINE} | head -c ${String(bytes)}`;
  await using terminal = await peer.open(["sh", "-c", command]);
  let [first, last, seen, late] = [0, 0, 0, 0];
  terminal.onData((chunk) => {
    last = performance.now();
    if (first === 0) [first, late] = [last, chunk.length];
    seen += chunk.length;
  });
  await terminal.ended;
  if (seen < bytes)
    throw new Error(`${peer.name} lost output: ${String(seen)} of ${String(bytes)} bytes came`);
  return (seen - late) / (last - first) / 1000;
}
