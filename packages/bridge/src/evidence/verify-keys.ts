import { join } from "node:path";
import { openEnvelope, verifySignature } from "./dsse.ts";
import { isMissing, publicKeyOf } from "./key.ts";
import type { LogFiles } from "./log-files.ts";
import { TILE_WIDTH } from "./merkle.ts";
import { readPublic } from "./read-public.ts";
import { readLeaf } from "./record.ts";
import { noteVerifier, vkeyLine, type NoteVerifier } from "./signed-note.ts";
import { messageOf, type KeySpan, type VerifyProblem } from "./verify-bundle.ts";

/** Which key signs which records, as far as the given key vouches for it. */
export interface KeyChain {
  readonly spans: readonly KeySpan[];
  readonly problems: readonly VerifyProblem[];
}

/**
 * Finds the keys of a log, starting from the given one. A key rotation counts when the old and the new key both signed
 * it; the given key must be one of the chain, so that it vouches forward for its successors and backward for its predecessors.
 */
export async function keyChain(files: LogFiles, size: number, given: NoteVerifier): Promise<KeyChain> {
  const alone: KeyChain = { spans: [{ from: 0, key: given }], problems: [] };
  if (size === 0 || (await isSignedThroughout(files, size, given))) return alone;
  const spans: KeySpan[] = [];
  try {
    for await (const { index, leaf } of rotations(files, size)) addRotation(spans, index, leaf);
  } catch (error) {
    return {
      ...alone,
      problems: [{ index: null, reason: `The chain of keys is broken: ${messageOf(error)}` }],
    };
  }
  return spans.some(({ key }) => key.keyId === given.keyId) ? { spans, problems: [] } : alone;
}

async function isSignedThroughout(files: LogFiles, size: number, { keyId }: NoteVerifier): Promise<boolean> {
  try {
    const signers = await Promise.all([0, size - 1].map((index) => signersOf(files, size, index)));
    return signers.every((ids) => ids.length === 1 && ids[0] === keyId);
  } catch {
    return true; // unreadable: the records' own check names it
  }
}

async function signersOf(files: LogFiles, size: number, index: number): Promise<string[]> {
  const n = Math.floor(index / TILE_WIDTH);
  const entries = await files.entries(n, Math.min(TILE_WIDTH, size - n * TILE_WIDTH));
  const leaf = entries[index % TILE_WIDTH] ?? Buffer.alloc(0);
  return openEnvelope(leaf).signatures.map(({ keyId }) => keyId);
}

/** Leaves with two signatures; only key rotations have them. */
async function* rotations(files: LogFiles, size: number) {
  const mark = Buffer.from('"},{"keyid":"');
  for (let n = 0; n * TILE_WIDTH < size; n++) {
    const entries = await files.entries(n, Math.min(TILE_WIDTH, size - n * TILE_WIDTH));
    for (const [at, leaf] of entries.entries())
      if (leaf.includes(mark)) yield { index: n * TILE_WIDTH + at, leaf };
  }
}

function addRotation(spans: KeySpan[], index: number, leaf: Buffer): void {
  const { predicate } = readLeaf(leaf, index).statement;
  if (!("previousKey" in predicate))
    throw new Error(`record ${String(index)} has two signatures and is no key rotation`);
  const opened = openEnvelope(leaf);
  const keys = [predicate.previousKey, predicate.nextKey].map(({ publicKey }) =>
    publicKeyOf(Buffer.from(publicKey, "base64")),
  );
  const [previous, next] = keys;
  const valid = keys.every((key, at) => {
    const signature = opened.signatures[at];
    return signature?.keyId === key.keyId && verifySignature(opened, key, signature);
  });
  if (!valid || previous === undefined || next === undefined)
    throw new Error(`key rotation ${String(index)} is not signed by both keys`);
  if (spans.length === 0) spans.push({ from: 0, key: previous });
  if (spans.at(-1)?.key.keyId !== previous.keyId)
    throw new Error(`key rotation ${String(index)} does not start from the key before it`);
  spans.push({ from: index + 1, key: next });
}

/** The key files beside a log, as they are; null for one that is not there, empty for one that can't be read. */
export type KeyFiles = Readonly<Record<"key.vkey" | "key.pem", string | null>>;

/** Reads them: before the checkpoint, as a bridge that exchanges its key writes the checkpoint first. */
export async function readKeyFiles(dir: string): Promise<KeyFiles> {
  const textOf = (name: string): Promise<string | null> =>
    readPublic(join(dir, name)).then(
      (bytes) => bytes.toString("utf8"),
      (error: unknown) => (isMissing(error) ? null : ""),
    );
  return { "key.vkey": await textOf("key.vkey"), "key.pem": await textOf("key.pem") };
}

/**
 * Which of the key files beside a log are none of its keys. They prove nothing, but whoever checks the log with other
 * tools takes the key from there.
 */
export function wrongKeyFiles(files: KeyFiles, spans: readonly KeySpan[], { name }: NoteVerifier): string[] {
  const keys = spans.map(({ key }) => key);
  const right = {
    "key.vkey": keys.map((key) => `${vkeyLine(noteVerifier(name, key))}\n`),
    "key.pem": keys.map(({ publicKey }) => publicKey.export({ format: "pem", type: "spki" }).toString()),
  };
  return (["key.vkey", "key.pem"] as const)
    .filter((file) => files[file] !== null && !right[file].includes(files[file]))
    .map((file) => `"${file}" is not the log's key`);
}

/** What a key can't vouch for when it is not the only one of the log. */
export function keySentences(spans: readonly KeySpan[], { keyId }: NoteVerifier): string[] {
  const at = spans.findIndex(({ key }) => key.keyId === keyId);
  const sentences: string[] = [];
  const from = spans[at]?.from ?? 0;
  if (at > 0)
    sentences.push(
      `whose the ${String(at)} key(s) of the first ${String(from)} records are: the given key vouches for them by signing the rotation`,
    );
  if (at >= 0 && at < spans.length - 1)
    sentences.push(
      `whether the ${String(spans.length - 1 - at)} newer key(s) are the operator's: whoever has the given one can sign a rotation too; give the newest`,
    );
  return sentences;
}
