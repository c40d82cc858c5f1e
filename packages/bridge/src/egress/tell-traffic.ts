import type { EgressTraffic } from "@doorward/contracts";
import { trafficOf, type Activity, type ActivityRow } from "./activity.ts";

const TELL_MS = 200;

/** Tells the traffic of a machine, first what is known and then each change, until stopped. */
export async function tellTraffic(
  activity: Activity,
  machine: { readonly id: string; readonly name: string },
  tell: (event: EgressTraffic) => boolean,
  stop: AbortSignal,
): Promise<void> {
  const changed = new Set<ActivityRow>(activity.rows(machine.id));
  using _watching = activity.watch(machine.id, (row) => void changed.add(row));
  while (!stop.aborted) {
    for (const row of [...changed]) {
      // A row that a slow reader did not get is told later, as it is then.
      if (tell(trafficOf(machine.name, row))) changed.delete(row);
    }
    await pause(TELL_MS, stop);
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    if (signal.aborted) done();
    else signal.addEventListener("abort", done, { once: true });
  });
}
