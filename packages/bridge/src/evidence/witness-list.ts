import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { DoorwardError } from "@doorward/contracts";
import { parseWitnessVkey } from "./cosignature.ts";
import { replaceFile } from "./files.ts";
import { isMissing } from "./key.ts";

const WitnessPlace = z.union([
  z.strictObject({ vkey: z.string().max(600), folder: z.string().min(1).max(4096) }),
  z.strictObject({
    vkey: z.string().max(600),
    url: z.url({ protocol: /^https?$/ }).max(2000),
    addresses: z.array(z.string().max(60)).min(1).max(20).optional(),
  }),
]);

/** A witness that this log asks for cosignatures: its key, and its folder or the submission prefix of its service, with the address ranges of an internal one. */
export type WitnessPlace = z.infer<typeof WitnessPlace>;

const WitnessList = z.array(WitnessPlace).max(20);

/** Reads which witnesses an evidence folder asks; none without the file. */
export async function readWitnessList(evidenceDir: string): Promise<WitnessPlace[]> {
  try {
    return WitnessList.parse(JSON.parse(await readFile(listPath(evidenceDir), "utf8")));
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw new DoorwardError({
      code: "STATE_INVALID",
      message: `Cannot read "${listPath(evidenceDir)}": it is not a list of witnesses`,
      cause,
    });
  }
}

/** Adds a witness, or gives one of the same name another place. */
export async function addWitness(evidenceDir: string, place: WitnessPlace): Promise<void> {
  const { name } = parseWitnessVkey(place.vkey);
  await writeWitnessList(evidenceDir, [...without(await readWitnessList(evidenceDir), name), place]);
}

/** Removes a witness by name; false when there is none of it. */
export async function removeWitness(evidenceDir: string, name: string): Promise<boolean> {
  const list = await readWitnessList(evidenceDir);
  const rest = without(list, name);
  await writeWitnessList(evidenceDir, rest);
  return rest.length < list.length;
}

function without(list: readonly WitnessPlace[], name: string): WitnessPlace[] {
  return list.filter(({ vkey }) => parseWitnessVkey(vkey).name !== name);
}

async function writeWitnessList(evidenceDir: string, list: readonly WitnessPlace[]): Promise<void> {
  await replaceFile(listPath(evidenceDir), Buffer.from(`${JSON.stringify(list, null, 2)}\n`), { sync: true });
}

function listPath(evidenceDir: string): string {
  return join(evidenceDir, "witnesses.json");
}
