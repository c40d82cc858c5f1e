/** Median and 99th percentile of samples. */
export interface Summary {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

/** Summarises samples in any order. */
export function summarise(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), count: sorted.length };
}

/** The quantile of sorted samples by nearest rank, so that it is always a sample that was seen. */
export function quantile(sorted: readonly number[], part: number): number {
  const rank = Math.max(1, Math.ceil(sorted.length * part));
  return sorted[rank - 1] ?? Number.NaN;
}

/** The middle one. */
export function median(samples: readonly number[]): number {
  return summarise(samples).p50;
}

/** Milliseconds that something takes. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return performance.now() - began;
}

/** Runs every peer once a round, each round beginning with another one, so that none always has the warm or the busy moment. */
export async function interleave<Peer>(
  peers: readonly Peer[],
  rounds: number,
  run: (peer: Peer, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const first = round % Math.max(1, peers.length);
    for (const peer of [...peers.slice(first), ...peers.slice(0, first)]) await run(peer, round);
  }
}
