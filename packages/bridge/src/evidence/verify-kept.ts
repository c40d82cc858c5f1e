import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { openCheckpoint, type OpenedCheckpoint } from "./checkpoint.ts";
import { cosignedAt, parseWitnessVkey, type WitnessVerifier } from "./cosignature.ts";
import { isMissing } from "./key.ts";
import { readPublic } from "./read-public.ts";
import { messageOf } from "./verify-bundle.ts";
import { witnessFile } from "./witnessing.ts";

/** A witness whose cosignature is asked for. */
export interface GivenWitness {
  /** Its verifier key line. */
  readonly vkey: string;
  /** Text of the last checkpoint that it saw of this log, from its own folder. */
  readonly seen?: string | undefined;
}

/** An older (or equal) checkpoint that the log must extend. */
export interface KeptCheckpoint {
  /** As a sentence names it. */
  readonly what: string;
  readonly checkpoint: OpenedCheckpoint;
  /** Whether it came from outside the folder, so that whoever holds the folder can't have replaced it by an older one. */
  readonly elsewhere: boolean;
}

/** What the given checkpoint and witnesses make checkable. */
export interface Kept {
  readonly checkpoints: readonly KeptCheckpoint[];
  readonly problems: readonly string[];
  readonly notChecked: readonly string[];
}

/** Opens the kept checkpoint and looks for the cosignatures of witnesses; unusable input throws INPUT_INVALID or KEY_INVALID. */
export async function openKept(
  dir: string,
  checkpoint: string | undefined,
  witnesses: readonly GivenWitness[],
  newest: OpenedCheckpoint | null,
): Promise<Kept> {
  const checkpoints: KeptCheckpoint[] = [];
  const problems: string[] = [];
  const notChecked: string[] = [];
  if (checkpoint !== undefined)
    checkpoints.push({ what: "the kept checkpoint", checkpoint: openGiven(checkpoint), elsewhere: true });
  for (const witness of witnesses) {
    const verifier = parseWitnessVkey(witness.vkey);
    try {
      checkpoints.push(...seen(witness, verifier));
      const found = await cosigned(dir, verifier, newest);
      if (found.length === 0) problems.push(`There is no cosignature of witness "${verifier.name}"`);
      checkpoints.push(...found);
    } catch (error) {
      problems.push(messageOf(error));
    }
    if (witness.seen === undefined)
      notChecked.push(
        `whether witness "${verifier.name}" has seen more records since: give the checkpoint from its own folder`,
      );
  }
  return { checkpoints, problems, notChecked };
}

/** The newest checkpoint in the folder that a witness cosigned. */
async function cosigned(
  dir: string,
  verifier: WitnessVerifier,
  newest: OpenedCheckpoint | null,
): Promise<KeptCheckpoint[]> {
  const kept = await readOptional(join(dir, witnessFile(verifier, "checkpoint")));
  const candidates = [newest, kept === null ? null : openCheckpoint(kept)].flatMap((checkpoint) => {
    const time = checkpoint === null ? null : cosignedAt(checkpoint.note, verifier);
    return checkpoint === null || time === null ? [] : [{ checkpoint, time }];
  });
  const [best] = candidates.sort((a, b) => b.checkpoint.size - a.checkpoint.size);
  if (best === undefined) return [];
  const what = `the checkpoint that witness "${verifier.name}" cosigned at ${iso(best.time)}`;
  return [{ what, checkpoint: best.checkpoint, elsewhere: false }];
}

function seen({ seen: text }: GivenWitness, verifier: WitnessVerifier): KeptCheckpoint[] {
  if (text === undefined) return [];
  const checkpoint = openGiven(text);
  const time = cosignedAt(checkpoint.note, verifier);
  if (time === null)
    throw new Error(`The witness's last checkpoint has no cosignature of "${verifier.name}"`);
  const what = `the last checkpoint that witness "${verifier.name}" saw, at ${iso(time)}`;
  return [{ what, checkpoint, elsewhere: true }];
}

/** Sentences about what the kept checkpoints showed of a log of `size` records. */
export function keptSentences(kept: Kept, size: number) {
  const checked = kept.checkpoints.map(
    ({ what, checkpoint }) =>
      `rollback, truncation and fork, against ${what} over ${String(checkpoint.size)} records`,
  );
  const notChecked = [...kept.notChecked];
  const outside = kept.checkpoints.filter(({ elsewhere }) => elsewhere);
  if (kept.checkpoints.length === 0)
    notChecked.push(
      "rollback, truncation and fork: give a checkpoint that was kept elsewhere, or a witness's key",
    );
  else if (outside.length === 0)
    notChecked.push(
      "truncation of what came behind that cosignature: whoever holds the folder can cut it off",
    );
  else notChecked.push(...cutBehind(outside, size));
  return { checked, notChecked };
}

function cutBehind(outside: readonly KeptCheckpoint[], size: number): string[] {
  const last = Math.max(...outside.map(({ checkpoint }) => checkpoint.size));
  const more = size > last ? `, of which ${String(size - last)} are there` : "";
  return [`truncation of records behind the first ${String(last)}${more}`];
}

function openGiven(text: string): OpenedCheckpoint {
  try {
    return openCheckpoint(text);
  } catch (cause) {
    throw new DoorwardError({
      code: "INPUT_INVALID",
      message: `Cannot use kept checkpoint: ${messageOf(cause)}`,
      cause,
    });
  }
}

async function readOptional(path: string): Promise<string | null> {
  try {
    return (await readPublic(path)).toString("utf8");
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
