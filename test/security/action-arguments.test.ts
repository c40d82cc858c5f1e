import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { it } from "node:test";
import { ACTION_PRESETS } from "@doorward/contracts";
import { ActionError } from "../../packages/bridge/src/actions/action-error.ts";
import { ACTION_PRESET_SPECS } from "../../packages/bridge/src/actions/presets/index.ts";
import { JudgeLab } from "../../packages/bridge/test/actions-lab.ts";
import { hostileRequests, type FairRequest } from "./action-arguments-attempts.ts";

const COUNT = Number(process.env["DOORWARD_ACTION_ATTEMPTS"] ?? 10_000);
const SEED = Number(process.env["DOORWARD_ACTION_SEED"] ?? 5);

/** Every preset enabled on programs of this test's own, and the command lines that pass. */
function enabled(lab: JudgeLab): FairRequest[] {
  const bin = join(lab.base, "bin");
  const presets = ACTION_PRESETS.map((preset) => {
    const names = [...new Set(ACTION_PRESET_SPECS[preset].places.map((place) => basename(place)))];
    for (const name of names) writeFileSync(join(bin, name), "#!/bin/sh\n", { mode: 0o755 });
    return {
      preset,
      owner: "user" as const,
      executables: names.map((name) => join(bin, name)),
      cwdRoots: [lab.work],
      pathRoots: [lab.data],
    };
  });
  lab.policy = { version: 1, roots: [], actions: { presets } };
  return ACTION_PRESETS.flatMap((scope) => {
    const spec = ACTION_PRESET_SPECS[scope];
    const names = [...new Set(spec.places.map((place) => basename(place)))];
    return spec.examples.map((line) => {
      const words = line.split(" ");
      const own = names.length > 1;
      const command = join(bin, own ? (words[0] ?? "") : (names[0] ?? ""));
      const args = own ? words.slice(1) : words;
      return { scope, request: lab.request({ command, args }), ceilingMs: spec.scope.timeoutSeconds * 1000 };
    });
  });
}

it(`${COUNT} generated hostile requests are refused with the right code, and the judge still answers`, async () => {
  using lab = new JudgeLab();
  mkdirSync(join(lab.work, "inner"));
  const fair = enabled(lab);
  const judge = lab.judge();
  const tally = new Map<string, number>();
  for (const { scope, request } of fair) await judge.judge(scope, request);
  for (const { what, scope, request, reason } of hostileRequests(fair, COUNT, SEED)) {
    const error: unknown = await judge.judge(scope, request).then(
      () => assert.fail(`it passed: ${what} in ${scope}`),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof ActionError, `${what}: ${String(error)}`);
    const found = error.failure.scopeViolation;
    const list =
      reason === "ARGUMENT_NOT_ALLOWED"
        ? [
            reason,
            "ARGUMENT_POLICY_VIOLATION",
            "ARGUMENT_PATH_REQUIRES_ABSOLUTE",
            "ARGUMENT_PATH_OUTSIDE_ALLOWED_ROOTS",
          ]
        : [reason];
    assert.ok(found !== undefined && list.includes(found.reason), `${what}: ${found?.reason}, not ${reason}`);
    assert.equal(error.failure.code, reason === "SCOPE_NOT_CONFIGURED" ? "SCOPE_DENIED" : "SCOPE_VIOLATION");
    if (found.reason === "ARGUMENT_NOT_ALLOWED") assert.notEqual(found.argument, undefined, what);
    tally.set(found.reason, (tally.get(found.reason) ?? 0) + 1);
  }
  assert.ok(tally.size >= 8, JSON.stringify([...tally]));
  for (const { scope, request } of fair) await judge.judge(scope, request);
});
