import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { EvidenceKeyView, EvidenceWitnessView, HostFacts, HostFinding } from "@doorward/contracts";
import { parseVkey, type EvidenceLog, type WitnessState } from "../evidence/index.ts";

/** The signing key of a log as the control API shows it. */
export async function keyView(log: EvidenceLog): Promise<EvidenceKeyView> {
  const path = join(dirname(log.dir), "key.pem");
  const { keyId, name } = parseVkey(log.vkey);
  const { entries } = await log.list({ limit: 1000, type: "key-rotation" });
  const rotations = entries.flatMap(({ index, statement: { predicate } }) =>
    "previousKey" in predicate
      ? [
          {
            index,
            at: predicate.at,
            previous: predicate.previousKey.keyId,
            next: predicate.nextKey.keyId,
            reason: predicate.reason,
          },
        ]
      : [],
  );
  const first = log.size === 0 ? null : (await log.read(0)).statement.predicate.at;
  const { mode } = await stat(path);
  return {
    vkey: log.vkey,
    keyId,
    origin: name,
    path,
    mode: (mode & 0o777).toString(8),
    since: rotations[0]?.at ?? first,
    rotations,
  };
}

/** A witness as the control API shows it. */
export function witnessView({ name, place, size, time, problem }: WitnessState): EvidenceWitnessView {
  const at = time === null ? null : new Date(time * 1000).toISOString();
  return { name, place, size, at, problem: problem?.slice(0, 1000) ?? null };
}

/** Facts about the host, with the witnesses that did not cosign the newest checkpoint among the findings. */
export function withWitnesses(facts: HostFacts, witnesses: readonly WitnessState[]): HostFacts {
  return { ...facts, findings: [...facts.findings, ...witnesses.map(witnessFinding)] };
}

function witnessFinding({ name, size, problem }: WitnessState): HostFinding {
  const id = `evidence.witness.${name}`.slice(0, 80);
  if (problem === null)
    return { id, state: "ok", found: `cosigned ${String(size)} records`, costs: null, fix: null };
  return {
    id,
    state: "degraded",
    found: problem.slice(0, 1000),
    costs: "Truncation of the newest evidence can't be found with this witness",
    fix: "doorward evidence witness ls",
  };
}
