import type { ClientKind, Place } from "./clients.ts";
import { deleteConfig, readConfig, unusable, writeConfig, type ConfigFile } from "./config-file.ts";
import { UnreadableConfig, type ConfigEntry } from "./config-format.ts";
import { entryDigest } from "./connection-store.ts";

/** What became of an entry. */
export type Written = "added" | "changed" | "same";

/** An entry that is not ours to change. */
export class ForeignEntry extends Error {
  override readonly name = "ForeignEntry";
}

/** What a file was like before an entry was put into it. */
export interface Before {
  readonly existed: boolean;
  readonly inTable: boolean;
}

/**
 * Puts an entry into a client's configuration. One of the same name stays as it is unless it is the one that was written
 * before (`known`, its digest), or `force` says so. One with a `secret` closes the file to other users.
 */
export function putEntry(
  kind: ClientKind,
  place: Place,
  entry: ConfigEntry,
  known: string | undefined,
  { force, secret }: { readonly force: boolean; readonly secret: boolean },
): { readonly written: Written; readonly before: Before } {
  return guarded(kind, place, () => {
    const text = readConfig(fileOf(place));
    const found = kind.format.get(text ?? "", place.path);
    const table = kind.format.get(text ?? "", place.path.slice(0, -1));
    const before = { existed: text !== undefined, inTable: table !== undefined };
    const digest = found === undefined ? undefined : entryDigest(found);
    if (digest === entryDigest(entry)) return { written: "same", before };
    if (digest !== undefined && digest !== known && !force) throw new ForeignEntry(place.path.join("."));
    const after = kind.format.set(text ?? "", place.path, entry);
    if (entryDigest(kind.format.get(after, place.path)) !== entryDigest(entry))
      throw new UnreadableConfig(`"${place.path.join(".")}" would not be read back as it was written`);
    writeConfig(fileOf(place), text, after, secret);
    return { written: found === undefined ? "added" : "changed", before };
  });
}

/** Takes an entry out again, and the file with it when that held nothing else; false when there was none. */
export function takeEntry(
  kind: ClientKind,
  place: Place & Before & { readonly entry: string },
  force: boolean,
): boolean {
  return guarded(kind, place, () => {
    const text = readConfig(fileOf(place));
    if (text === undefined) return false;
    const found = kind.format.get(text, place.path);
    if (found === undefined) return false;
    if (entryDigest(found) !== place.entry && !force) throw new ForeignEntry(place.path.join("."));
    const rest = kind.format.remove(text, place.path, !place.inTable);
    if (!place.existed && kind.format.isEmpty(rest)) deleteConfig(fileOf(place), text);
    else writeConfig(fileOf(place), text, rest);
    return true;
  });
}

function fileOf({ file, beneath }: Place): ConfigFile {
  return beneath === undefined ? { file } : { file, beneath };
}

function guarded<T>(kind: ClientKind, place: Place, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (!(cause instanceof UnreadableConfig)) throw cause;
    const why = `it can't be edited as ${kind.format.name}: ${cause.message}`;
    throw unusable(
      place.file,
      why,
      cause,
      `Mend the file, or put the entry in by hand: connect without --write prints it`,
    );
  }
}
