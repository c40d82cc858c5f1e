import assert from "node:assert/strict";
import { test } from "node:test";
import { mountEvidence } from "../src/interfaces/mount-evidence.ts";
import type { EngineMount } from "../src/machines/engine.ts";
import { fingerprintSource } from "./fingerprint-source.ts";

const guestDigest = `sha256:${"5".repeat(64)}`;

/** Mount evidence of a machine with a git config of ours beside what every machine has. */
function evidence() {
  const { spec, isolation, profile, policyHash } = fingerprintSource();
  const [runtime] = spec.mounts;
  assert.ok(runtime !== undefined);
  const gitConfig: EngineMount = {
    ...runtime,
    target: "/etc/gitconfig",
    source: "/state/masks/content-1",
  };
  return mountEvidence({
    machineId: spec.machineId,
    profile,
    interfaceRef: null,
    policyHash,
    capturedAt: "2026-01-02T03:04:05.678Z",
    home: "/home/user",
    mounts: [...spec.mounts, gitConfig],
    isolation,
    guestDigest,
    listed: [],
  });
}

test("the digest of the guest's runtime is that of its folder alone, not of what lies beside it", () => {
  const digests = evidence().mounts.map(({ agentPath, contentHash }) => [agentPath, contentHash]);
  assert.deepEqual(
    digests.filter(([, hash]) => hash !== undefined),
    [["/opt/dw", guestDigest]],
  );
});

test("a masked file is told as a denied attempt, and where its mask lies is not told", () => {
  const { mounts, deniedAttempts } = evidence();
  assert.equal(mounts.find(({ agentPath }) => agentPath === "/workspace/app/.env")?.hostPathRef, null);
  assert.deepEqual(deniedAttempts, [
    { pathRef: "/workspace/app/.env", reason: "masked by hide", severity: "deny" },
  ]);
});
