import { DoorwardError } from "@doorward/contracts";
import type { EvidenceKey } from "./key.ts";
import { HASH_BYTES } from "./merkle.ts";
import { openNote, signNote, type SignedNote } from "./signed-note.ts";

/** What a checkpoint (C2SP tlog-checkpoint) says: which log, how many leaves, which root. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

/** A checkpoint with the note it came in; nothing is verified yet. */
export interface OpenedCheckpoint extends Checkpoint {
  readonly note: SignedNote;
}

/** Signs a checkpoint; the key's name is the origin. */
export function signCheckpoint({ origin, size, root }: Checkpoint, key: EvidenceKey): Promise<string> {
  return signNote(`${origin}\n${String(size)}\n${root.toString("base64")}\n`, origin, key);
}

/** Takes a signed checkpoint apart. */
export function openCheckpoint(text: string): OpenedCheckpoint {
  const note = openNote(text);
  const [origin, size, root = "", ...rest] = note.text.slice(0, -1).split("\n");
  const hash = Buffer.from(root, "base64");
  if (origin === undefined || origin === "" || size === undefined || !/^(?:0|[1-9][0-9]{0,14})$/.test(size)) {
    throw checkpointInvalid("its first lines are not an origin and a size");
  }
  if (hash.length !== HASH_BYTES || hash.toString("base64") !== root)
    throw checkpointInvalid("its root is not a SHA-256 hash");
  if (rest.length > 0) throw checkpointInvalid("it has extension lines, which Doorward never writes");
  return { origin, size: Number(size), root: hash, note };
}

function checkpointInvalid(why: string): DoorwardError {
  return new DoorwardError({ code: "EVIDENCE_INVALID", message: `Cannot read checkpoint: ${why}` });
}
