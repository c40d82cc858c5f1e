import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { CommandPlan } from "../src/actions/ports.ts";
import { HostCommands } from "../src/actions/run/index.ts";

/** Runs a plan, as a bridge would, in a process that can be killed or that is another user; writes the outcome as JSON. */
const [file = "", kind = "cgroup"] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(file, "utf8")) as CommandPlan;
const runner = new HostCommands({
  containments: kind === "both" ? ["cgroup", "pid-namespace"] : [kind as "cgroup"],
});
try {
  const outcome = await runner.run(plan, new AbortController().signal);
  console.log(
    JSON.stringify({ ...outcome, stdout: outcome.stdout.toString(), stderr: outcome.stderr.toString() }),
  );
} catch (error) {
  console.log(JSON.stringify({ failure: (error as { failure?: unknown }).failure ?? String(error) }));
}
await sleep(0);
