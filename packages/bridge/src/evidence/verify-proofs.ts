import { readdir } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { openCheckpoint, type OpenedCheckpoint } from "./checkpoint.ts";
import { isConsistent } from "./consistency.ts";
import type { LogFiles } from "./log-files.ts";
import { consistencyHashes, proveConsistency, proveInclusion, tlogProof } from "./prove.ts";
import { readPublic } from "./read-public.ts";
import { messageOf } from "./verify-bundle.ts";

const OlderCheckpoint = z.looseObject({ older: z.string() });

/**
 * Reasons why files in an export's `proofs` are not the proofs that its tree gives, to the byte; none without that
 * folder. Hands on the older checkpoints in them, whose signatures are still to be checked.
 */
export async function wrongProofs(
  files: LogFiles,
  onOlder: (older: OpenedCheckpoint, what: string) => void,
): Promise<string[]> {
  const names = await readdir(join(files.dir, "proofs")).catch(() => []);
  const problems: string[] = [];
  for (const name of names) {
    try {
      const text = (await readPublic(join(files.dir, "proofs", name))).toString("utf8");
      if ((await expected(files, name, text, onOlder)) !== text)
        problems.push(`"proofs/${name}" is not the proof it says it is`);
    } catch (error) {
      problems.push(`"proofs/${name}" can't be checked: ${messageOf(error)}`);
    }
  }
  return problems;
}

/** What a file of this name must hold; null for one that an export does not have. */
async function expected(
  files: LogFiles,
  name: string,
  text: string,
  onOlder: (older: OpenedCheckpoint, what: string) => void,
): Promise<string | null> {
  const index = /^record-(0|[1-9][0-9]{0,14})\.tlog-proof$/.exec(name)?.[1];
  if (index !== undefined) return tlogProof(await proveInclusion(files, Number(index)));
  const [, from, size] = /^consistency-([1-9][0-9]{0,14})-([1-9][0-9]{0,14})\.json$/.exec(name) ?? [];
  if (from === undefined) return null;
  const { older } = OlderCheckpoint.parse(JSON.parse(text));
  const [opened, newest] = [openCheckpoint(older), openCheckpoint(await files.checkpoint())];
  if (Number(size) !== newest.size) return null;
  onOlder(opened, `The older checkpoint in "proofs/${name}"`);
  const hashes = await consistencyHashes(files, opened.size, newest.size);
  return isConsistent(opened, newest, hashes) ? consistencyText(files, Number(from), older) : null;
}

/** The consistency proof of an export from an older checkpoint, as its file holds it; of the signatures only the log's own. */
export async function consistencyText(files: LogFiles, from: number, older: string): Promise<string> {
  const { note, origin } = openCheckpoint(older);
  const own = note.lines.filter((_, at) => note.signatures[at]?.name === origin);
  const text = `${note.text}\n${own.join("\n")}\n`;
  return `${JSON.stringify({ ...(await proveConsistency(files, from)), older: text }, null, 2)}\n`;
}
