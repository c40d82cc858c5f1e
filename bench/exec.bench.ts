import { besideOf, type BenchPart } from "./lib/row.ts";
import { interleave, summarise, timed } from "./lib/summary.ts";
import { PodmanCommand } from "./peers/podman.ts";

const REACH_MS = 8;

/** A command that does nothing, from asking to its exit code. */
export const execPart: BenchPart = {
  id: "exec",
  title: "run a command",
  async run(bench) {
    const [client, lab, machine] = [await bench.client(), await bench.lab(), await bench.machine()];
    const podman = new PodmanCommand(lab);
    const [container = ""] = (await lab.containers()).map((line) => line.split(" ")[0] ?? "");
    const ours = {
      samples: new Array<number>(),
      each: bench.pick({ quick: 10, normal: 40 }),
      run: () => client.exec(machine.id, ["true"]),
    };
    const theirs = {
      samples: new Array<number>(),
      each: bench.pick({ quick: 1, normal: 4 }),
      run: () => podman.run("exec", container, "true"),
    };
    for (let warm = 0; warm < 10; warm += 1) await ours.run();
    bench.say("run a command");
    await interleave([ours, theirs], bench.pick({ quick: 3, normal: 8 }), async ({ samples, each, run }) => {
      for (let count = 0; count < each; count += 1) samples.push(await timed(run));
    });
    const { p50, p99, count } = summarise(ours.samples);
    return [
      {
        name: "run a command",
        unit: "ms",
        value: p50,
        p99,
        samples: count,
        reach: `p50 <= ${String(REACH_MS)} ms`,
        met: p50 <= REACH_MS,
        beside: [besideOf("podman exec", summarise(theirs.samples))],
      },
    ];
  },
};
