import type { Bench } from "./lib/bench.ts";
import { besideOf, type BenchPart, type BenchRow, type Beside } from "./lib/row.ts";
import { interleave, median, summarise } from "./lib/summary.ts";
import { withEgressWays, type EgressWays, type NoWay, type Way, type Wish } from "./peers/egress-ways.ts";
import { missing } from "./peers/missing.ts";

const [SETUP_MS, SHARE, REQUEST_MS, MANY] = [3, 0.8, 10, 200];
/** What far sides behind a network send at most, unlike loopback, in Gbit/s. */
const PACES = [1, 5] as const;
const GIGABIT_BYTES = 125_000_000;
const OWN_SHARE =
  "a machine has a share of the cores of its own, so on a busy host its client gets more of them than the peers'";

/** The guarded way out beside a direct connection, tinyproxy, and a relay that only carries bytes. */
export const egressPart: BenchPart = {
  id: "egress",
  title: "the way out",
  run: (bench) => withEgressWays(bench, async (ways) => await rows(bench, ways)),
};

async function rows(bench: Bench, ways: EgressWays): Promise<BenchRow[]> {
  await ways.ours.measure({ mode: "setup", count: 20 });
  const measured = [await setup(bench, ways), await throughput(bench, ways, "throughput of the way out")];
  for (const pace of PACES) {
    const name = `throughput, far side behind ${String(pace)} Gbit/s`;
    measured.push(await throughput(bench, ways, name, pace * GIGABIT_BYTES));
  }
  return [...measured, await many(bench, ways), await requests(bench, ways)];
}

async function setup(bench: Bench, { ours, direct, proxy }: EgressWays): Promise<BenchRow> {
  bench.say("set up connections");
  const wish = { mode: "setup", count: samplesOf(bench) } as const;
  const { p50, p99, count } = summarise(known(await ours.measure(wish)));
  const beside = [await besides(direct, wish), await besides(proxy, wish)] as const;
  return {
    ...{ name: "CONNECT set-up", unit: "ms", value: p50, p99, samples: count },
    reach: `<= ${String(SETUP_MS)} ms added`,
    met: p50 - (beside[0].value ?? 0) <= SETUP_MS,
    beside,
  };
}

/** Everybody in turn, medians of the rounds. */
async function throughput(
  bench: Bench,
  { ours, direct, proxy, relay }: EgressWays,
  name: string,
  rate?: number,
): Promise<BenchRow> {
  bench.say(name);
  const wish = {
    mode: "throughput",
    count: bench.pick({ quick: 50_000_000, normal: 300_000_000 }),
    rate,
  } as const;
  const speeds = new Map<Way, number[]>();
  const present = [direct, ours, relay, proxy].flatMap((way) => (missing(way) ? [] : [way]));
  await interleave(present, bench.pick({ quick: 5, normal: 9 }), async (way) => {
    speeds.set(way, [...(speeds.get(way) ?? []), ...known(await way.measure(wish))]);
  });
  const speedOf = (way: Way): number => median(speeds.get(way) ?? []);
  const besideIt = (way: Way | NoWay): Beside =>
    missing(way) ? absent(way) : { name: way.name, value: speedOf(way) };
  return {
    ...{ name, unit: "MB/s", value: speedOf(ours), samples: speeds.get(ours)?.length },
    reach: `>= ${String(SHARE)}x direct`,
    met: speedOf(ours) >= SHARE * speedOf(direct),
    beside: [besideIt(direct), besideIt(relay), besideIt(proxy)],
    note:
      rate === undefined ? OWN_SHARE : `the far side sends at most ${String(rate / 1e6)} MB/s; ${OWN_SHARE}`,
  };
}

async function many(bench: Bench, { ours, direct, proxy }: EgressWays): Promise<BenchRow> {
  bench.say("many connections at once");
  const wish = { mode: "many", count: MANY } as const;
  const samples = await ours.measure(wish);
  const { p50, p99, count } = summarise(known(samples));
  const failures = samples.filter((each) => each === null).length;
  return {
    ...{ name: `${String(MANY)} connections at once`, unit: "ms", value: p50, p99, samples: count },
    ...{ reach: "no failure", met: failures === 0, note: `${String(failures)} failed` },
    beside: [await besides(direct, wish), await besides(proxy, wish)],
  };
}

async function requests(bench: Bench, { ours, secretly, direct, proxy }: EgressWays): Promise<BenchRow> {
  bench.say("requests with a secret");
  const wish = { mode: "request", count: samplesOf(bench) } as const;
  const { p50, p99, count } = summarise(known(await secretly.measure(wish)));
  return {
    ...{ name: "request with a secret put in", unit: "ms", value: p50, p99, samples: count },
    ...{ reach: `p99 <= ${String(REQUEST_MS)} ms`, met: p99 <= REQUEST_MS },
    beside: [
      await besides({ ...ours, name: "doorward, a blind tunnel" }, wish),
      await besides(direct, wish),
      await besides(proxy, wish),
    ],
    note: "the whole request, of which substitution is a part",
  };
}

async function besides(way: Way | NoWay, wish: Wish): Promise<Beside> {
  return missing(way) ? absent(way) : besideOf(way.name, summarise(known(await way.measure(wish))));
}

function absent({ name, missing: note }: NoWay): Beside {
  return { name, value: null, note };
}

function known(samples: readonly (number | null)[]): number[] {
  return samples.filter((each) => each !== null);
}

function samplesOf(bench: Bench): number {
  return bench.pick({ quick: 50, normal: 500 });
}
