import { DenialError } from "@doorward/contracts";
import type { EngineSpec } from "../engine.ts";
import { decidedMount, isMeasured } from "../normalise-isolation.ts";
import type { MachineRecord } from "./record.ts";

/** Bytes of a launch record for what differs in length from machine to machine; the rest, and some to spare, is as long in each. */
const ROOM = 38_000;
/** A mount as it is measured, without its target. */
const MEASURED_BYTES = 120;

/**
 * Throws when the fingerprint of a machine can't stand in one record of the log: before anything runs, as without a launch
 * record there is no machine. What is measured later is counted by what was decided.
 */
export function refuseLongRecord(
  record: Pick<MachineRecord, "name" | "profile" | "hide">,
  spec: EngineSpec,
): void {
  const decided = spec.mounts.map((mount) => decidedMount(mount, spec.machineId));
  const measured = spec.mounts
    .filter(isMeasured)
    .reduce((sum, { target }) => sum + MEASURED_BYTES + Buffer.byteLength(target), 0);
  const texts = JSON.stringify([decided, record.profile, record.hide, Object.keys(spec.env)]);
  const bytes = Buffer.byteLength(texts) + measured;
  if (bytes <= ROOM) return;
  throw new DenialError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot launch "${record.name}": its ${spec.mounts.length} mounts and its profile take ${bytes} bytes of its launch record, more than ${ROOM}`,
    rule: "policy.protect",
    hint: "Hide folders instead of the single files in them, or give fewer repos to one machine",
  });
}
