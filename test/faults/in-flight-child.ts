// Begins and records things as a bridge does, in lanes, and tells of each when it was noted and when it was recorded:
// node in-flight-child.mjs FOLDER PREFIX LANES
import { writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pino from "pino";
import { noteBeginning } from "../../packages/bridge/src/daemon/door-begun.ts";
import { openEvidence } from "../../packages/bridge/src/evidence/index.ts";
import { InFlight, recordLost } from "../../packages/bridge/src/in-flight/index.ts";
import { ORIGIN, common } from "../evidence/support.ts";

const [, , dir = "", prefix = "", lanes = "1"] = process.argv;
const log = pino({ level: "silent" });
const limits = { notes: 10_000, bytes: 10_000_000, spareBytes: 30_000 };
const inFlight = new InFlight(join(dir, "in-flight"), log, limits);
const placing = inFlight.placing.bind(inFlight);
const evidence = await openEvidence({ dir, origin: ORIGIN, log, placing });
await recordLost({ inFlight, evidence, log });
const session = {
  ...common,
  session: "s_aaaaaaaaaa",
  door: "terminal",
  protocol: "doorward.exec.v1",
  operations: ["terminal.agent-exec"],
  listener: "tcp",
  origin: null,
  at: new Date().toISOString(),
} as const;
tell("ready");
if (prefix === "") {
  await evidence[Symbol.asyncDispose]();
  inFlight[Symbol.dispose]();
} else await Promise.all(Array.from({ length: Number(lanes) }, (_, lane) => run(lane)));

async function run(lane: number): Promise<never> {
  for (let n = 0; ; n += 1) {
    const id = `${prefix}-${String(lane)}-${String(n)}`;
    const command = { type: "command", execution: "agent", argv: [id], cwd: null } as const;
    const begun = noteBeginning(
      { log: evidence, inFlight, session, policyHash: () => common.policyHash },
      command,
    );
    tell(`begun ${id}`);
    if (Math.random() < 0.5) await delay(Math.random() * 5);
    const counts = { durationMs: 1, stdinBytes: 0, stdoutBytes: 0, stderrBytes: 0 };
    const end = { outcome: "exited", exitCode: 0, signal: null, detail: null, ...counts } as const;
    await begun.record({ ...command, ...end });
    tell(`recorded ${id}`);
  }
}

/** One write, so that what was told was told even if this is killed in the next moment. */
function tell(line: string): void {
  writeSync(1, `${line}\n`);
}
