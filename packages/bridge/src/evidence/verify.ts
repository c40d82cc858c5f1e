import { openCheckpoint, type OpenedCheckpoint } from "./checkpoint.ts";
import { LogFiles } from "./log-files.ts";
import { TILE_WIDTH, TreeEdge } from "./merkle.ts";
import { isSignedBy, noteVerifier, parseVkey, type NoteVerifier } from "./signed-note.ts";
import {
  messageOf,
  type BundleResult,
  type BundleTask,
  type IndexedReference,
  type KeySpan,
  type VerifyProblem,
} from "./verify-bundle.ts";
import { checkReference, referencedParent, strangers } from "./referenced.ts";
import { keptSentences, openKept, type GivenWitness, type Kept, type KeptCheckpoint } from "./verify-kept.ts";
import { wrongProofs } from "./verify-proofs.ts";
import { keyChain, keySentences, readKeyFiles, wrongKeyFiles } from "./verify-keys.ts";
import { checkBundles } from "./verify-pool.ts";

/** What to verify, and against what. */
export interface VerifyOptions {
  /** Folder in the C2SP tlog-tiles layout: an export, or the log's own folder. */
  readonly dir: string;
  /** Verifier key line of a key that you trust; the one in the folder proves nothing. */
  readonly vkey: string;
  /** Text of a checkpoint of this log that was kept elsewhere. */
  readonly checkpoint?: string | undefined;
  /** Witnesses whose cosignature is asked for; one that has none is a problem. */
  readonly witnesses?: readonly GivenWitness[] | undefined;
  /** False checks checkpoint and tree alone, not each record's signature and shape. */
  readonly records?: boolean | undefined;
  readonly onProgress?: ((checked: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What verification found: what was checked, what could not be, and everything that is wrong. */
export interface VerifyReport {
  readonly ok: boolean;
  readonly origin: string;
  readonly size: number;
  /** Root of the tree that the checkpoint signs, base64. */
  readonly root: string;
  readonly keys: readonly { readonly keyId: string; readonly from: number }[];
  readonly checked: readonly string[];
  readonly notChecked: readonly string[];
  /** The first 200 problems. */
  readonly problems: readonly VerifyProblem[];
  readonly problemCount: number;
}

const shownProblems = 200;

/** Verifies a log offline, from its folder and a public key alone. Faults of the log are in the report; only unusable input throws. */
export async function verifyEvidence(options: VerifyOptions): Promise<VerifyReport> {
  const run = new Verification(options);
  return run.report();
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #files: LogFiles;
  readonly #given: NoteVerifier;
  readonly #problems: VerifyProblem[] = [];
  #problemCount = 0;
  readonly #references = new Map<string, IndexedReference>();
  #missing = 0;

  constructor(options: VerifyOptions) {
    this.#options = options;
    this.#files = new LogFiles(options.dir);
    this.#given = parseVkey(options.vkey);
  }

  async report(): Promise<VerifyReport> {
    const { dir, witnesses = [], checkpoint: given } = this.#options;
    const keyFiles = await readKeyFiles(dir);
    const checkpoint = await this.#openNewest();
    const kept = await openKept(dir, given, witnesses, checkpoint);
    for (const reason of kept.problems) this.#found({ index: null, reason });
    const size = checkpoint?.size ?? 0;
    const { spans, problems } = await keyChain(this.#files, size, this.#given);
    for (const problem of problems) this.#found(problem);
    if (checkpoint !== null) {
      this.#checkNote(checkpoint, spans.slice(-1), "The checkpoint");
      for (const each of kept.checkpoints) this.#checkKept(each, checkpoint, spans);
      await this.#checkTree(checkpoint, kept.checkpoints, spans);
      await this.#checkReferences();
      const signed = (older: OpenedCheckpoint, what: string): void => this.#checkNote(older, spans, what);
      const proofs = await wrongProofs(this.#files, signed);
      for (const reason of [...proofs, ...wrongKeyFiles(keyFiles, spans, this.#given)])
        this.#found({ index: null, reason });
    }
    return this.#summary(checkpoint, kept, spans);
  }

  async #openNewest(): Promise<OpenedCheckpoint | null> {
    try {
      return openCheckpoint(await this.#files.checkpoint());
    } catch (error) {
      this.#found({ index: null, reason: messageOf(error) });
      return null;
    }
  }

  #checkNote(checkpoint: OpenedCheckpoint, spans: readonly KeySpan[], what: string): void {
    const { origin, note } = checkpoint;
    if (origin !== this.#given.name)
      this.#found({
        index: null,
        reason: `${what} belongs to log "${origin}", the given key to "${this.#given.name}"`,
      });
    try {
      const verifiers = spans.map(({ key }) => noteVerifier(this.#given.name, key));
      if (!verifiers.some((verifier) => isSignedBy(note, verifier)))
        this.#found({ index: null, reason: `${what} is not signed by the log's key` });
    } catch (error) {
      this.#found({ index: null, reason: `${what}: ${messageOf(error)}` });
    }
  }

  #checkKept(
    { what, checkpoint: kept }: KeptCheckpoint,
    checkpoint: OpenedCheckpoint,
    spans: readonly KeySpan[],
  ): void {
    this.#checkNote(kept, spans, capital(what));
    if (kept.size <= checkpoint.size) return;
    const reason = `Rollback or truncation: ${what} covers ${String(kept.size)} records, and the log ends at ${String(checkpoint.size)}`;
    this.#found({ index: checkpoint.size, reason });
  }

  async #checkTree(
    checkpoint: OpenedCheckpoint,
    kept: readonly KeptCheckpoint[],
    spans: readonly KeySpan[],
  ): Promise<void> {
    const { size } = checkpoint;
    const edge = new TreeEdge();
    const count = Math.ceil(size / TILE_WIDTH);
    let lastAt = "";
    for (const each of kept) if (each.checkpoint.size === 0) this.#compareKept(each, edge.root());
    for await (const result of checkBundles(this.#options.dir, this.#tasks(size), count, spans)) {
      this.#options.signal?.throwIfAborted();
      for (const problem of result.problems) this.#found(problem);
      if (result.hashes.length === 0) return; // the tree can't go on behind entries that are not there
      if (result.firstAt !== "" && result.firstAt < lastAt)
        this.#found({
          index: result.n * TILE_WIDTH,
          reason: "Its time is before that of the record in front of it",
        });
      for (const { index, reference } of result.references)
        this.#references.set(reference.digest, { index, reference });
      lastAt = result.lastAt === "" ? lastAt : result.lastAt;
      await this.#grow(edge, result, kept);
      this.#options.onProgress?.(edge.size, size);
    }
    await this.#compareEdge(edge);
    if (!edge.root().equals(checkpoint.root))
      this.#found({ index: null, reason: "The tree over the entries has another root than the checkpoint" });
  }

  *#tasks(size: number): Generator<BundleTask> {
    const records = this.#options.records ?? true;
    for (let n = 0; n * TILE_WIDTH < size; n++)
      yield { n, width: Math.min(TILE_WIDTH, size - n * TILE_WIDTH), records };
  }

  async #grow(
    edge: TreeEdge,
    { hashes, root, width, n }: BundleResult,
    kept: readonly KeptCheckpoint[],
  ): Promise<void> {
    for (const each of kept) {
      const inside = each.checkpoint.size - n * TILE_WIDTH;
      if (inside <= 0 || inside > width) continue;
      const copy = new TreeEdge(edge.size, edge.levels());
      addLeaves(copy, hashes.subarray(0, inside * 32));
      this.#compareKept(each, copy.root());
    }
    const full = width === TILE_WIDTH ? edge.addBundle(Buffer.from(root)) : addLeaves(edge, hashes);
    for (const tile of full) await this.#compareTile(tile.level, tile.n, tile.hashes);
  }

  #compareKept({ what, checkpoint }: KeptCheckpoint, root: Buffer): void {
    if (root.equals(checkpoint.root)) return;
    this.#found({
      index: null,
      reason: `Fork: the first ${String(checkpoint.size)} records are not those of ${what}`,
    });
  }

  /** Files that records refer to: those that are there must have the digest that the record says, and an export has no others. */
  async #checkReferences(): Promise<void> {
    const dir = await referencedParent(this.#options.dir);
    if (dir === this.#options.dir && this.#options.records !== false)
      for (const path of await strangers(dir, new Set(this.#references.keys())))
        this.#found({ index: null, reason: `No record refers to the file "${path}"` });
    for (const { index, reference } of this.#references.values()) {
      this.#options.signal?.throwIfAborted();
      const state = await checkReference(dir, reference);
      if (state === "missing") this.#missing++;
      if (state === "wrong")
        this.#found({
          index,
          reason: `The file "${reference.path ?? ""}" that it refers to has another digest or length`,
        });
    }
  }

  /** Partial hash tiles above the lowest level; that one was compared with its bundle. */
  async #compareEdge(edge: TreeEdge): Promise<void> {
    for (const [level, hashes] of edge.levels().entries()) {
      if (level > 0 && hashes.length > 0)
        await this.#compareTile(level, Math.floor(edge.size / TILE_WIDTH ** (level + 1)), hashes);
    }
  }

  async #compareTile(level: number, n: number, hashes: Buffer): Promise<void> {
    try {
      const tile = await this.#files.hashes(level, n, hashes.length / 32);
      if (!tile.equals(hashes))
        this.#found({
          index: null,
          reason: `Hash tile ${String(n)} of level ${String(level)} does not fit the entries`,
        });
    } catch (error) {
      this.#found({ index: null, reason: messageOf(error) });
    }
  }

  #found(problem: VerifyProblem): void {
    this.#problemCount++;
    if (this.#problems.length < shownProblems) this.#problems.push(problem);
  }

  #summary(checkpoint: OpenedCheckpoint | null, kept: Kept, spans: readonly KeySpan[]): VerifyReport {
    const { records = true } = this.#options;
    const size = checkpoint?.size ?? 0;
    const sentences = keptSentences(kept, size);
    const [rotations, missing] = [spans.length - 1, this.#missing];
    const present = this.#references.size - missing;
    return {
      ok: this.#problemCount === 0,
      origin: checkpoint?.origin ?? this.#given.name,
      size,
      root: checkpoint?.root.toString("base64") ?? "",
      keys: spans.map(({ from, key }) => ({ from, keyId: key.keyId })),
      checked: [...checkedSentences(records, rotations, present), ...sentences.checked],
      notChecked: [
        ...notCheckedSentences(records, missing),
        ...keySentences(spans, this.#given),
        ...sentences.notChecked,
      ],
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }
}

function addLeaves(edge: TreeEdge, hashes: Uint8Array) {
  const full = [];
  for (let at = 0; at < hashes.length; at += 32)
    full.push(...edge.add(Buffer.from(hashes.subarray(at, at + 32))));
  return full;
}

function checkedSentences(records: boolean, rotations: number, files: number): string[] {
  const sentences = [
    "the checkpoint's signature, against the given key",
    "the tree: every entry, every hash tile and the signed root",
  ];
  if (records)
    sentences.push("every record: signature, canonical form, duplicate keys, schema, place and time order");
  if (rotations > 0) sentences.push(`${String(rotations)} key rotation(s), each signed by both keys`);
  if (files > 0) sentences.push(`${String(files)} referenced file(s), by digest and length`);
  return sentences;
}

function notCheckedSentences(records: boolean, missing: number): string[] {
  const sentences = ["whether the bridge told the truth when it signed"];
  if (!records) sentences.push("the records' own signatures and shape");
  if (missing > 0) sentences.push(`${String(missing)} referenced file(s) that are not there`);
  return sentences;
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
