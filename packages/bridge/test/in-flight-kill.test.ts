import { test } from "node:test";
import { killInFlight } from "../../../test/faults/in-flight-kill.ts";

const ROUNDS = Number(process.env["DOORWARD_KILL_ROUNDS"] ?? 10);

test(`of what begins while its process is killed ${String(ROUNDS)} times, each has exactly one record`, async (t) => {
  t.diagnostic(JSON.stringify(await killInFlight(ROUNDS)));
});
