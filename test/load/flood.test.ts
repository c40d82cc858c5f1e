import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openLab, type Lab } from "../support/lab.ts";
import { residentMiB } from "../support/leftovers.ts";

describe("a flood in one terminal while its viewer reads slowly", () => {
  let lab: Lab;

  before(async () => {
    lab = await openLab();
    await lab.up(lab.repo("shop"));
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const median = (values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

  it(
    "memory stays bounded, Ctrl-C acts at once, no other terminal waits for it",
    { timeout: 600_000 },
    async (t) => {
      const bridge = await lab.bridgePid();
      await using client = lab.client();
      let text = "";
      const quiet = await client.attachTerminal("shop", {
        data: (bytes) => void (text += Buffer.from(bytes).toString("latin1")),
      });
      await lab.until("a prompt", () => text.includes("$ "));
      const echo = async (marker: string): Promise<number> => {
        const began = performance.now();
        quiet.write(Buffer.from(`echo ${marker.slice(0, 2)}""${marker.slice(2)}\r`));
        while (!text.includes(marker)) await delay(1);
        return performance.now() - began;
      };
      const alone: number[] = [];
      for (let round = 0; round < 20; round += 1) alone.push(await echo(`alone${round}.`));

      const before = residentMiB(bridge);
      let taken = 0;
      let tail = "";
      let slow = true;
      let held: Promise<void> | undefined;
      const flood = await client.attachTerminal("shop", {
        argv: ["sh", "-c", "yes | head -c 200M; echo finished"],
        data: async (bytes) => {
          taken += bytes.length;
          tail = (tail + Buffer.from(bytes).toString("latin1")).slice(-100);
          if (slow) await (held ?? delay(50));
        },
      });
      const samples: number[] = [];
      const during: number[] = [];
      for (let round = 0; round < 40; round += 1) {
        during.push(await echo(`during${round}.`));
        samples.push(residentMiB(bridge));
        await delay(50);
      }
      const highest = Math.max(...samples);
      t.diagnostic(
        `bridge: ${before.toFixed(0)} MiB before, at most ${highest.toFixed(0)} MiB during; viewer took ${(taken / 1048576).toFixed(1)} MiB`,
      );
      t.diagnostic(
        `echo of another terminal: median ${median(alone).toFixed(1)} ms alone, ${median(during).toFixed(1)} ms during, worst ${Math.max(...during).toFixed(1)} ms`,
      );
      assert.ok(highest < before + 48, "bounded");
      assert.ok(median(during) < 50);
      assert.ok(taken < 200 * 1048576, "the viewer held it back");

      let readOn = (): void => undefined;
      held = new Promise((resolve) => (readOn = resolve));
      await lab.until("the viewer reads nothing", async () => {
        const was = taken;
        await delay(200);
        return taken === was;
      });
      const stalled = taken;
      for (let round = 0; round < 20; round += 1) await echo(`held${round}.`);
      assert.equal(taken, stalled, "no answer waited for the flood's viewer");
      readOn();
      held = undefined;

      const began = performance.now();
      flood.write(Buffer.from("\x03"));
      const stopped = async (): Promise<boolean> => (await lab.sh("shop", "pgrep -x yes")).code !== 0;
      await lab.until("yes is gone", stopped);
      t.diagnostic(`Ctrl-C: the program was gone ${Math.round(performance.now() - began)} ms later`);
      slow = false;
      const end = await flood.done;
      assert.equal(end.kind, "exit");
      assert.doesNotMatch(tail, /finished/);
      quiet.detach();
    },
  );

  it("a viewer that reads at full speed gets every byte", { timeout: 600_000 }, async (t) => {
    await using client = lab.client();
    let length = 0;
    const began = performance.now();
    const session = await client.attachTerminal("shop", {
      argv: ["sh", "-c", "stty -opost; yes | head -c 200M"],
      data: (bytes) => void (length += bytes.length),
      gap: (from, to) => assert.fail(`gap ${from}-${to}`),
    });
    await session.done;
    const seconds = (performance.now() - began) / 1000;
    assert.equal(length, 200 * 1048576);
    t.diagnostic(`200 MiB in ${seconds.toFixed(1)} s: ${(200 / seconds).toFixed(0)} MiB/s`);
  });

  it(
    "a viewer that stops reading does not stop the others of the same terminal",
    { timeout: 600_000 },
    async () => {
      await using client = lab.client();
      let seen = 0;
      const controller = await client.attachTerminal("shop", {
        argv: ["sh", "-c", "sleep 1; head -c 20M /dev/zero | tr '\\0' x; sleep 30"],
        data: (bytes) => void (seen += bytes.length),
      });
      const stalled = await client.attachTerminal("shop", {
        terminal: controller.id,
        mode: "observe",
        data: () => new Promise(() => undefined),
      });
      await lab.until("the controller sees it all", () => seen >= 20 * 1048576);
      stalled.detach();
      controller.detach();
    },
  );
});
