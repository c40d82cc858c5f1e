import { setTimeout as delay } from "node:timers/promises";
import { connect, type TerminalSession } from "@doorward/client";
import type { Lab } from "../test/support/lab.ts";
import { residentMiB } from "../test/support/leftovers.ts";
import type { BenchPart } from "./lib/row.ts";
import { median } from "./lib/summary.ts";

const BRIDGE_MIB = 110;
const SESSION_MIB = 1;
const GUEST_MIB = 70;
const SETTLE_MS = 5_000;

/** Memory of a bridge of its own with one machine and nothing to do, and what each idle terminal adds. */
export const idlePart: BenchPart = {
  id: "idle",
  title: "idle cost",
  async run(bench) {
    await using lab = await bench.freshLab();
    bench.say("idle cost: launching");
    const name = await lab.up(lab.repo("idle"));
    await using client = connect({ socketPath: lab.socket });
    const bridge = await lab.bridgePid();
    const guest = guestPid(lab);
    bench.say("idle cost: settling");
    const before = { bridge: await settled(bridge), guest: await settled(guest) };
    const count = bench.pick({ quick: 10, normal: 30 });
    const sessions: TerminalSession[] = [];
    for (let opened = 0; opened < count; opened += 1)
      sessions.push(await client.attachTerminal(name, { reconnectMs: 0, data: () => undefined }));
    const after = { bridge: await settled(bridge), guest: await settled(guest) };
    for (const session of sessions) session.detach();
    const each = (after.bridge - before.bridge) / count;
    return [
      memory("idle bridge, resident, one machine", before.bridge, BRIDGE_MIB),
      {
        ...memory(`bridge, more per idle session (of ${String(count)})`, each, SESSION_MIB),
        note: `resident with ${String(count)} sessions: ${after.bridge.toFixed(1)} MiB`,
      },
      {
        ...memory("idle guest, resident", before.guest, GUEST_MIB),
        note: `with ${String(count)} terminals: ${after.guest.toFixed(1)} MiB`,
      },
    ];
  },
};

function memory(name: string, value: number, reach: number) {
  return {
    name,
    unit: "MiB",
    value,
    reach: `<= ${String(reach)} MiB`,
    met: value <= reach,
    beside: [],
  } as const;
}

/** The guest's process as the host sees it. */
function guestPid(lab: Lab): number {
  const guests = lab
    .inside()
    .filter(({ command }) => /guest\.mjs/.test(command) && !/podman-init|catatonit/.test(command));
  const [guest] = guests;
  if (guest === undefined) throw new Error("The machine has no guest process");
  return guest.pid;
}

/** The middle of some readings, after a time in which nothing is asked of the process. */
async function settled(pid: number): Promise<number> {
  await delay(SETTLE_MS);
  const readings: number[] = [];
  for (let count = 0; count < 5; count += 1) {
    readings.push(residentMiB(pid));
    await delay(200);
  }
  return median(readings);
}
