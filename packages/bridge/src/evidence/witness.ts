import { readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { parseAddCheckpoint, type AddCheckpoint } from "./add-checkpoint.ts";
import { openCheckpoint, type OpenedCheckpoint } from "./checkpoint.ts";
import { isConsistent } from "./consistency.ts";
import { cosign, parseWitnessVkey, witnessVerifier, witnessVkey } from "./cosignature.ts";
import { makeFolder, replaceFile, syncFolder } from "./files.ts";
import { createEvidenceKey, isMissing, readEvidenceKey, type EvidenceKey } from "./key.ts";
import { EMPTY_ROOT, sha256 } from "./merkle.ts";
import { isSignedBy, parseVkey, vkeyLine } from "./signed-note.ts";

/** Older states that stay, so that a process which is slow never takes a place that was taken before. */
const keptStates = 16;

/** A witness's answer to a request, with the HTTP status of C2SP tlog-witness. */
export type WitnessAnswer =
  | { readonly status: 200; readonly body: string }
  | { readonly status: 409; readonly body: string }
  | { readonly status: 400 | 403 | 404 | 422; readonly body: string };

/** The last checkpoint that a witness saw of a log. */
export interface SeenLog {
  readonly origin: string;
  readonly vkeys: readonly string[];
  /** With the log's signature and the witness's cosignature; null before the first. */
  readonly checkpoint: string | null;
}

interface State {
  readonly number: number;
  readonly checkpoint: OpenedCheckpoint | null;
}

/**
 * A witness (C2SP tlog-witness) in a folder: its key, the logs it knows by their public keys, and the last checkpoint of
 * each. It cosigns a checkpoint only when that extends the one it cosigned before. Several processes may share a folder.
 */
export class Witness {
  readonly dir: string;
  readonly name: string;
  readonly #key: EvidenceKey;

  private constructor(dir: string, name: string, key: EvidenceKey) {
    this.dir = dir;
    this.name = name;
    this.#key = key;
  }

  /** Makes a witness with a key of its own in a folder that has none. */
  static async init(dir: string, name: string): Promise<Witness> {
    await makeFolder(join(dir, "logs"));
    const key = await createEvidenceKey(join(dir, "key.pem")).catch((cause: unknown) => {
      throw new DoorwardError({
        code: "INPUT_INVALID",
        message: `Cannot make witness: "${dir}" has a key already, or can't be written`,
        cause,
      });
    });
    const vkey = witnessVkey(witnessVerifier(name, key));
    await replaceFile(join(dir, "witness.vkey"), Buffer.from(`${vkey}\n`), { sync: true });
    return new Witness(dir, name, key);
  }

  /** Opens a witness's folder. */
  static async open(dir: string): Promise<Witness> {
    const key = await readEvidenceKey(join(dir, "key.pem"));
    const { name, keyId } = parseWitnessVkey(await readWitnessVkey(dir));
    if (keyId !== key.keyId)
      throw new DoorwardError({
        code: "KEY_INVALID",
        message: `Cannot open witness "${dir}": witness.vkey does not belong to key.pem`,
      });
    return new Witness(dir, name, key);
  }

  /** Its verifier key line. */
  get vkey(): string {
    return witnessVkey(witnessVerifier(this.name, this.#key));
  }

  /** Lets a log's checkpoints be cosigned when they are signed by this key; the log is known by the key's name. */
  async trust(vkey: string): Promise<void> {
    const verifier = parseVkey(vkey);
    const dir = stateFolder(this.dir, verifier.name);
    await makeFolder(dir);
    await syncFolder(join(this.dir, "logs"));
    const lines = new Set([...(await trusted(dir)), vkeyLine(verifier)]);
    await replaceFile(join(dir, "log.vkey"), Buffer.from([...lines, ""].join("\n")), { sync: true });
  }

  /** Answers an add-checkpoint request: the cosignature line, or why not. */
  async addCheckpoint(body: string): Promise<WitnessAnswer> {
    let request: AddCheckpoint;
    try {
      request = parseAddCheckpoint(body);
    } catch (error) {
      return { status: 400, body: `${error instanceof Error ? error.message : "malformed"}\n` };
    }
    const { origin } = request.checkpoint;
    const dir = stateFolder(this.dir, origin);
    const vkeys = await trusted(dir);
    if (vkeys.length === 0) return { status: 404, body: "unknown log\n" };
    if (!isTrusted(request.checkpoint, vkeys))
      return { status: 403, body: "no signature of a trusted key\n" };
    return this.#advance(dir, request);
  }

  async #advance(dir: string, { old, hashes, checkpoint }: AddCheckpoint): Promise<WitnessAnswer> {
    if (old > checkpoint.size) return { status: 400, body: "the old size is above the checkpoint's\n" };
    const state = await readState(dir);
    const seen = state.checkpoint ?? { size: 0, root: EMPTY_ROOT };
    const conflict: WitnessAnswer = { status: 409, body: `${String(seen.size)}\n` };
    if (old !== seen.size || (old === checkpoint.size && !seen.root.equals(checkpoint.root))) return conflict;
    if (!isConsistent(seen, checkpoint, hashes))
      return { status: 422, body: "the proof does not lead from the last checkpoint to this one\n" };
    const line = await cosign(checkpoint.note.text, this.name, this.#key);
    const grown = state.checkpoint === null || checkpoint.size > seen.size;
    // persisted before it is said; another process that was quicker has taken the place
    if (grown && !(await persist(dir, state.number + 1, withLine(checkpoint, line)))) return conflict;
    return { status: 200, body: line };
  }
}

/** The logs that a witness knows, with what it saw of them last; needs only the folder's public files. */
export async function seenLogs(dir: string): Promise<SeenLog[]> {
  const names = await readdir(join(dir, "logs"));
  const logs = await Promise.all(names.sort().map((name) => seenLog(join(dir, "logs", name))));
  return logs.filter((log) => log !== null);
}

async function seenLog(dir: string): Promise<SeenLog | null> {
  const vkeys = await trusted(dir);
  if (vkeys[0] === undefined) return null; // its witness was killed before it trusted a key
  const { checkpoint } = await readState(dir);
  const { name: origin } = parseVkey(vkeys[0]);
  return { origin, vkeys, checkpoint: checkpoint === null ? null : noteText(checkpoint) };
}

/** The verifier key line in a witness's folder. */
export async function readWitnessVkey(dir: string): Promise<string> {
  return (await readFile(join(dir, "witness.vkey"), "utf8")).trim();
}

function stateFolder(dir: string, origin: string): string {
  return join(dir, "logs", sha256(Buffer.from(origin)).toString("hex").slice(0, 32));
}

async function trusted(dir: string): Promise<string[]> {
  try {
    return (await readFile(join(dir, "log.vkey"), "utf8")).split("\n").filter((line) => line !== "");
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isTrusted({ origin, note }: OpenedCheckpoint, vkeys: readonly string[]): boolean {
  try {
    return vkeys.map(parseVkey).some((verifier) => verifier.name === origin && isSignedBy(note, verifier));
  } catch {
    return false; // a wrong signature under a trusted key's name
  }
}

/** States are files numbered upwards; the highest is in force. */
async function readState(dir: string): Promise<State> {
  const number = Math.max(0, ...(await stateNumbers(dir)));
  if (number === 0) return { number, checkpoint: null };
  return { number, checkpoint: openCheckpoint(await readFile(join(dir, String(number)), "utf8")) };
}

async function stateNumbers(dir: string): Promise<number[]> {
  const names = await readdir(dir);
  return names.filter((name) => /^[1-9][0-9]{0,14}$/.test(name)).map(Number);
}

/**
 * Takes the next number for a state, durably; false when another process has it. A file system gives a name to one of
 * two only, so this is the compare-and-swap that the protocol asks for, and no lock is left behind by a crash.
 */
async function persist(dir: string, number: number, text: string): Promise<boolean> {
  try {
    await replaceFile(join(dir, String(number)), Buffer.from(text), {
      sync: true,
      exclusive: true,
      own: true,
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
  const numbers = await stateNumbers(dir);
  if (Math.max(...numbers) !== number) return false;
  await replaceFile(join(dir, "checkpoint"), Buffer.from(text), { own: true });
  const stale = numbers.filter((other) => other <= number - keptStates);
  await Promise.all(stale.map((other) => unlink(join(dir, String(other))).catch(() => undefined)));
  return true;
}

function withLine({ note }: OpenedCheckpoint, line: string): string {
  return `${note.text}\n${note.lines.join("\n")}\n${line}`;
}

function noteText({ note }: OpenedCheckpoint): string {
  return `${note.text}\n${note.lines.join("\n")}\n`;
}
