import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { FlowLab } from "./actions-flow-lab.ts";

const child = fileURLToPath(new URL("actions-flow-child.ts", import.meta.url));

function running(program: string): number {
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return ids.filter((id) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, "utf8").includes(program);
    } catch {
      return false;
    }
  }).length;
}

test("a bridge killed in the middle of a workflow: the record says how far it came, and nothing runs on", async () => {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "dw-flow-")));
  const args = ["--conditions=source", "--import", "tsx", child, base];
  const bridge = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let seen = "";
  for await (const chunk of bridge.stdout) {
    seen += String(chunk);
    if (/"index":1,.*"running"/.test(seen)) break;
  }
  assert.match(seen, /"index":1,.*"running"/);
  await delay(300);
  bridge.kill("SIGKILL");
  await once(bridge, "exit");
  const program = join(base, "bin", "tool");
  for (let round = 0; running(program) > 0 && round < 2400; round += 1) await delay(50);
  assert.equal(running(program), 0);
  await using lab = await FlowLab.open(base);
  const [report] = lab.actions.reports(null);
  assert.deepEqual([report?.state, report?.outcome], ["interrupted", "interrupted"]);
  assert.deepEqual(
    report?.workflow?.steps.map(({ status }) => status),
    ["completed", "interrupted", "skipped"],
  );
  const [record] = lab.hostActions();
  assert.deepEqual(
    [record?.event, record?.outcome, record?.workflow?.status],
    ["ended", "interrupted", "interrupted"],
  );
  assert.ok(existsSync(join(lab.work, "one")));
  assert.ok(!existsSync(join(lab.work, "three")));
});
