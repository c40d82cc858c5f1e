import { closeSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Bounded } from "../../files.ts";
import { ANSWER_BYTES, type FilesRequestOf } from "../../files-protocol.ts";
import { FileFailure, errnoOf, quoted } from "./file-failure.ts";
import type { Held } from "./held.ts";
import { namesOf, pathOf, type Reach } from "./reach.ts";
import type { Ripgrep } from "./ripgrep.ts";
import { walkToFound, type Found } from "./walk.ts";

/** Names that are gathered before they are sorted and cut. */
const MAX_NAMES = 50_000;
const MAX_NAME_BYTES = 8_388_608;
const ROOM = ANSWER_BYTES - 4096;

/** What ripgrep is told of which files count. */
export interface Selection {
  readonly globs: readonly string[];
  readonly ignored: boolean;
}

/** Finds files by name. */
export async function findFiles(
  reach: Reach,
  ripgrep: Ripgrep,
  request: FilesRequestOf<"find">,
  signal: AbortSignal,
): Promise<Bounded<string>> {
  const doing = `Cannot find files in ${quoted(request.path)}`;
  const found = walkToFound(reach, request.path, { follow: true, doing });
  try {
    if (found.held.kind !== "folder")
      throw new FileFailure("PATH_NOT_DIRECTORY", `${doing}: it is no folder`);
    const selection = { globs: [request.glob], ignored: request.ignored };
    const listed = await listNames(ripgrep, found, { selection, doing }, signal);
    return await existing(reach, found, listed, request.limit);
  } finally {
    closeSync(found.held.fd);
  }
}

/** Names as they are told: what ripgrep said lay there is looked for by descriptors, which no swapped link leads astray. */
async function existing(
  reach: Reach,
  { held, names }: Found,
  listed: Bounded<string>,
  limit: number,
): Promise<Bounded<string>> {
  const items: string[] = [];
  const top = names.length === 0 ? "" : pathOf(names);
  let room = ROOM;
  for (const [index, name] of listed.items.entries()) {
    if (items.length === limit || room <= 0) return { items, truncated: true };
    if (index % 256 === 255) await setImmediate();
    const entry = holdListed(reach, held, name);
    if (entry === undefined) continue;
    closeSync(entry.fd);
    const path = `${top}/${name}`;
    room -= Buffer.byteLength(JSON.stringify(path)) + 1;
    items.push(path);
  }
  return { items, truncated: listed.truncated };
}

/** Holds a file that ripgrep listed, going through folders alone. */
export function holdListed(reach: Reach, folder: Held, name: string): Held | undefined {
  const names = namesOf(name);
  if (names.length === 0 || names.includes("..")) return undefined;
  try {
    const held = reach.opener.hold(folder.fd, names);
    if (held?.kind === "file") return held;
    if (held !== undefined) closeSync(held.fd);
  } catch (error) {
    // no longer there, or closed to the machine's user; nothing is left out for want of descriptors
    if (errnoOf(error) === "EMFILE" || errnoOf(error) === "ENFILE") throw error;
  }
  return undefined;
}

/**
 * Names of files beneath a held folder, sorted. ripgrep walks paths here, so that ignore files count exactly as they do
 * for it; a folder that is swapped for a link meanwhile can make it name what lies elsewhere, so its word is not taken.
 */
export async function listNames(
  ripgrep: Ripgrep,
  { held, names }: Found,
  { selection, doing }: { readonly selection: Selection; readonly doing: string },
  signal: AbortSignal,
): Promise<Bounded<string>> {
  const items: string[] = [];
  let bytes = 0;
  const { complete } = await ripgrep.run(
    {
      doing,
      args: ["--files", "--null", "--no-messages", ...selectionArgs(selection, names), "--", "./"],
      folder: held.fd,
      separator: "\0",
      record: (record) => {
        bytes += record.length;
        items.push(record.toString("utf8").replace(/^\.\//, ""));
        return items.length < MAX_NAMES && bytes < MAX_NAME_BYTES;
      },
    },
    signal,
  );
  return { items: items.sort(), truncated: !complete };
}

/** Globs that every file fits: to ripgrep they would say that ignored files count. */
const EVERYTHING = /^(?:\*\*?\/)*\*\*?$/;

/** Arguments for a selection; the last glob that fits decides, and one that fits an ignored file finds it. */
export function selectionArgs({ globs, ignored }: Selection, names: readonly string[]): string[] {
  const args = ignored ? ["--hidden", "--no-ignore"] : [];
  args.push(...globs.filter((glob) => !EVERYTHING.test(glob)).map((glob) => `--glob=${glob}`));
  // A repository's own folder is full of what nobody looks for; whoever does names it as the path.
  args.push("--glob=!.git");
  // Files of these have no end, or wait for ever.
  if (names.length === 0) args.push("--glob=!/proc", "--glob=!/sys", "--glob=!/dev");
  return args;
}
