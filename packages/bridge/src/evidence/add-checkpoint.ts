import { DoorwardError } from "@doorward/contracts";
import { openCheckpoint, type OpenedCheckpoint } from "./checkpoint.ts";
import { HASH_BYTES } from "./merkle.ts";

const maxHashes = 63;

/** Most bytes of a request to a witness. */
export const MAX_REQUEST_BYTES = 64 * 1024;

/** What a log sends to a witness (C2SP tlog-witness, add-checkpoint). */
export interface AddCheckpoint {
  /** Size of the tree that the witness saw last, as far as the log knows. */
  readonly old: number;
  readonly hashes: readonly Buffer[];
  readonly checkpoint: OpenedCheckpoint;
}

/** The body of a request. */
export function encodeAddCheckpoint(old: number, hashes: readonly Buffer[], checkpoint: string): string {
  return [`old ${String(old)}`, ...hashes.map((hash) => hash.toString("base64")), "", checkpoint].join("\n");
}

/** Parses the body of a request; refuses anything that is not to the letter. */
export function parseAddCheckpoint(body: string): AddCheckpoint {
  const split = body.indexOf("\n\n");
  const [first = "", ...lines] = body.slice(0, Math.max(0, split)).split("\n");
  const old = /^old (0|[1-9][0-9]{0,14})$/.exec(first)?.[1];
  if (old === undefined) throw invalid("it does not begin with an old size");
  if (lines.length > maxHashes) throw invalid(`it has more than ${String(maxHashes)} proof lines`);
  return { old: Number(old), hashes: lines.map(hashOf), checkpoint: openCheckpoint(body.slice(split + 2)) };
}

function hashOf(line: string): Buffer {
  const hash = Buffer.from(line, "base64");
  if (hash.length !== HASH_BYTES || hash.toString("base64") !== line)
    throw invalid("a proof line is not a hash");
  return hash;
}

function invalid(why: string): DoorwardError {
  return new DoorwardError({ code: "INPUT_INVALID", message: `Cannot read add-checkpoint request: ${why}` });
}
