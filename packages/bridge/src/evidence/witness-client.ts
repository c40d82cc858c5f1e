import { guardedPost, type GuardedAnswer } from "../egress/guarded-post.ts";
import { encodeAddCheckpoint } from "./add-checkpoint.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { cosignedAt, parseWitnessVkey } from "./cosignature.ts";
import type { LogFiles } from "./log-files.ts";
import { consistencyHashes } from "./prove.ts";
import type { WitnessPlace } from "./witness-list.ts";
import { Witness, type SeenLog } from "./witness.ts";

const answerMs = 10_000;
const maxAnswerBytes = 64 * 1024;

/** A cosignature that a witness gave. */
export interface Cosigned {
  readonly name: string;
  readonly size: number;
  /** Its signature lines, each with its newline. */
  readonly lines: string;
  /** Seconds since the epoch. */
  readonly time: number;
}

/**
 * Has a checkpoint cosigned by a witness: sends the proof from the size that the witness saw last, asks once more when
 * that was another, and checks the answer against the witness's key. Throws the reason when there is no cosignature.
 */
export async function askWitness(
  files: LogFiles,
  checkpoint: string,
  place: WitnessPlace,
  old: number,
  signal: AbortSignal,
): Promise<Cosigned> {
  const { size } = openCheckpoint(checkpoint);
  let answer = await send(place, await request(files, checkpoint, old, size), signal);
  if (answer.status === 409) {
    const seen = Number(/^(0|[1-9][0-9]{0,14})\n$/.exec(answer.body)?.[1] ?? Number.NaN);
    if (!(seen <= size))
      throw new Error(`it has seen ${answer.body.trim()} records, and this log has ${String(size)}`);
    answer = await send(place, await request(files, checkpoint, seen, size), signal);
  }
  if (answer.status !== 200) throw new Error(refusal(answer));
  return check(checkpoint, answer.body, place);
}

/** The request that has a log's newest checkpoint cosigned by a witness that saw these logs. */
export async function requestFor(files: LogFiles, seen: readonly SeenLog[]): Promise<string> {
  const checkpoint = await files.checkpoint();
  const { origin, size } = openCheckpoint(checkpoint);
  const last = seen.find((log) => log.origin === origin)?.checkpoint ?? null;
  const old = last === null ? 0 : openCheckpoint(last).size;
  return old > size ? encodeAddCheckpoint(0, [], checkpoint) : request(files, checkpoint, old, size);
}

async function request(files: LogFiles, checkpoint: string, old: number, size: number): Promise<string> {
  return encodeAddCheckpoint(old, await consistencyHashes(files, old, size), checkpoint);
}

async function send(place: WitnessPlace, body: string, signal: AbortSignal): Promise<GuardedAnswer> {
  if ("folder" in place) return (await Witness.open(place.folder)).addCheckpoint(body);
  return await guardedPost({
    url: new URL(`${place.url.replace(/\/$/, "")}/add-checkpoint`),
    body,
    contentType: "text/plain",
    addresses: place.addresses ?? null,
    maxAnswerBytes,
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
  });
}

/** Of what the witness sent, only lines under its own name and key are kept, and they must be right. */
function check(checkpoint: string, body: string, { vkey }: WitnessPlace): Cosigned {
  const verifier = parseWitnessVkey(vkey);
  const { note, size } = openCheckpoint(`${checkpoint}${body}`);
  const own = note.signatures.flatMap(({ name, hash }, at) =>
    name === verifier.name && hash.equals(verifier.hash) ? [`${note.lines[at] ?? ""}\n`] : [],
  );
  const time = cosignedAt(note, verifier);
  if (time === null) throw new Error("its answer has no cosignature of its key");
  return { name: verifier.name, size, lines: own.join(""), time };
}

function refusal({ status, body }: GuardedAnswer): string {
  const why = body.trim().slice(0, 200);
  if (status === 404) return "it does not know this log";
  if (status === 403) return "it does not trust the key that signs this log now";
  if (status === 422 || status === 409) return `it has seen another history of this log (${why})`;
  return `it answered ${String(status)}: ${why}`;
}
