import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { it } from "node:test";
import { EGRESS_PORT_PROTOCOL, type GuestHello } from "@doorward/guest";
import { pino } from "pino";
import { MachineEgress } from "../src/machines/guest/machine-egress.ts";

const asRoot = process.getuid?.() === 0 ? false : "needs root to make a network namespace";

it("a port that a flood took from the bridge is its own again after a pause", { skip: asRoot }, async () => {
  const script = "ip link set lo up && echo up && exec sleep 60";
  const holder = spawn("unshare", ["--net", "sh", "-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  const life = new AbortController();
  const served: boolean[] = [];
  const taken = new PassThrough({ objectMode: true });
  const egress = new MachineEgress(
    {
      log: pino({ level: "silent" }),
      signal: life.signal,
      ready: () => Promise.resolve({ protocol: EGRESS_PORT_PROTOCOL } as GuestHello),
      serveByGuest: (listen) => {
        served.push(listen);
        if (!listen) taken.write("taken");
      },
      keep: () => undefined,
      flooded: () => undefined,
    },
    { perSecond: 3, pauseMs: 20 },
  );
  const servedByUs = (): boolean => egress.served;
  try {
    await once(holder.stdout, "data");
    const pid = holder.pid ?? 0;
    await egress.takePort(pid);
    assert.ok(servedByUs());
    taken.read();
    const code = `for (let at = 0; at < 40; at += 1) require("node:net").connect(3128, "127.0.0.1").on("error", () => {});`;
    const flood = spawn("nsenter", [`--net=/proc/${String(pid)}/ns/net`, "--", process.execPath, "-e", code]);
    await once(flood, "close");
    await once(taken, "readable");
    assert.deepEqual(served.slice(0, 3), [false, true, false]);
    while (!servedByUs()) await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    egress[Symbol.dispose]();
    life.abort();
    holder.kill("SIGKILL");
  }
});
