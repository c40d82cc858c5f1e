import assert from "node:assert/strict";
import { test } from "node:test";
import type { EvidenceInput } from "@doorward/contracts";
import { prepareRecord } from "../src/evidence/record.ts";
import type { EngineMount, EngineSpec } from "../src/machines/engine.ts";
import { takeFingerprint } from "../src/machines/fingerprint.ts";
import { refuseLongRecord } from "../src/machines/life/record-room.ts";
import { fingerprintSource } from "./fingerprint-source.ts";

const at = "2026-01-02T03:04:05.678Z";

/** A machine with so many mounts of one role, each with a path of so many characters. */
function source(role: EngineMount["role"], count: number, length: number) {
  const base = fingerprintSource();
  const [template] = base.spec.mounts.slice(-1);
  assert.ok(template !== undefined);
  const more = Array.from({ length: count }, (_, index): EngineMount => {
    const target = `/workspace/app/${String(index)}/${"n".repeat(length)}/.env`;
    return { ...template, role, target, source: role === "hidden" ? template.source : `/src${target}` };
  });
  const measured = more.map(({ target }) => ({
    target,
    fstype: "ext4",
    options: ["nodev", "noexec", "nosuid", "relatime", "ro"],
    dev: "65024",
    ino: "1234567",
  }));
  const spec: EngineSpec = { ...base.spec, mounts: [...base.spec.mounts, ...more] };
  return { ...base, spec, isolation: { ...base.isolation, mounts: [...base.isolation.mounts, ...measured] } };
}

/** Whether a machine is refused, and whether its launch record would be. */
function judged(role: EngineMount["role"], count: number, length: number): readonly [boolean, boolean] {
  const from = source(role, count, length);
  const fingerprint = takeFingerprint(from);
  const record: EvidenceInput = {
    type: "launch",
    correlationId: "c_test",
    subject: "operator:tester",
    machine: from.machine,
    grant: null,
    policyHash: from.policyHash,
    trigger: "up",
    expiresAt: null,
    durationMs: 1,
    fingerprint,
  };
  const refusedBy = (act: () => unknown, code: string): boolean => {
    try {
      act();
      return false;
    } catch (error) {
      assert.equal((error as { code?: string }).code, code);
      return true;
    }
  };
  const { machine, profile, hide, spec } = from;
  return [
    refusedBy(
      () => refuseLongRecord({ name: machine.name, profile, hide: [...hide] }, spec),
      "REPO_UNSUPPORTED",
    ),
    refusedBy(() => prepareRecord(record, at), "INPUT_TOO_LARGE"),
  ];
}

for (const role of ["hidden", "protected"] as const) {
  for (const length of [0, 60, 200]) {
    test(`a machine that is launched with ${role} names of ${length} characters has a record that fits`, () => {
      const counts = Array.from({ length: 40 }, (_, index) => index * 5);
      const verdicts = counts.map((count) => judged(role, count, length));
      for (const [at, [refused, tooLong]] of verdicts.entries())
        assert.ok(refused || !tooLong, `${counts[at] ?? 0} mounts are let through, and have no record`);
      assert.deepEqual(verdicts[4], [false, false], "some are no trouble");
    });
  }
}

test("a machine whose mounts can't stand in one record is refused before it runs, with what to do about it", () => {
  const { machine, profile, hide, spec } = source("hidden", 140, 60);
  assert.throws(() => refuseLongRecord({ name: machine.name, profile, hide: [...hide] }, spec), {
    code: "REPO_UNSUPPORTED",
    rule: "policy.protect",
    message:
      /^Cannot launch "app": its 147 mounts and its profile take \d+ bytes of its launch record, more than 38000$/,
    hint: /Hide folders/,
  });
});
