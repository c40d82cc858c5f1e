import { closeSync } from "node:fs";
import { FileFailure, quoted } from "./file-failure.ts";
import { holdAgain, holdName, type Held } from "./held.ts";
import { pathOf, type Reach, type Root } from "./reach.ts";
import { isFound, walk, type Walked } from "./walk.ts";

/** A name in a held folder that a change is about, and what is there. */
export interface Slot extends Disposable {
  readonly doing: string;
  readonly root: Root;
  /** Names of the whole path, symlinks resolved. */
  readonly names: readonly string[];
  /** The deepest folder that exists. */
  readonly folder: number;
  /** Folders in it that are missing. */
  readonly missing: readonly string[];
  readonly name: string;
  /** What is there; undefined for nothing. */
  readonly there: Held | undefined;
}

/** How a slot is found. */
export interface SlotOptions {
  readonly doing: string;
  readonly follow: boolean;
  readonly parents: boolean;
  /** What will come there, for names that are protected. */
  readonly bringsNames: boolean;
}

/** Finds where a change takes place, and refuses where it may not. */
export function findSlot(reach: Reach, path: string, options: SlotOptions): Slot {
  const walked = walk(reach, path, options);
  const slot = slotOf(reach, walked, options.doing);
  try {
    requireChangeable(reach, slot, path, options);
    return slot;
  } catch (error) {
    slot[Symbol.dispose]();
    throw error;
  }
}

/** Whether the path of a slot leads to the same folder as when it was found; it may have been moved out of reach since. */
export function stillThere(reach: Reach, slot: Slot): boolean {
  const above = slot.names.slice(slot.root.names.length, slot.names.length - 1 - slot.missing.length);
  const now = holdFolder(reach, slot.root, above);
  const then = holdAgain(slot.folder);
  if (now !== undefined) closeSync(now.fd);
  closeSync(then.fd);
  return now?.stat.dev === then.stat.dev && now.stat.ino === then.stat.ino;
}

function slotOf(reach: Reach, walked: Walked, doing: string): Slot {
  const { names, root } = walked;
  if (!isFound(walked)) {
    const { folder, missing } = walked;
    const name = missing.at(-1) ?? "";
    const dispose = (): void => closeSync(folder);
    const above = missing.slice(0, -1);
    return { doing, root, names, folder, missing: above, name, there: undefined, [Symbol.dispose]: dispose };
  }
  closeSync(walked.held.fd);
  const above = names.slice(root.names.length, -1);
  const name = names.at(-1);
  if (name === undefined || names.length === root.names.length)
    throw new FileFailure("PATH_NOT_ALLOWED", `${doing}: it is the folder that may be used, which stays`);
  const parent = holdFolder(reach, root, above);
  const there = parent === undefined ? undefined : holdName(parent.fd, name);
  const same = there?.stat.ino === walked.held.stat.ino && there.stat.dev === walked.held.stat.dev;
  if (parent !== undefined && there !== undefined && same) {
    const dispose = (): void => {
      closeSync(parent.fd);
      closeSync(there.fd);
    };
    return { doing, root, names, folder: parent.fd, missing: [], name, there, [Symbol.dispose]: dispose };
  }
  for (const held of [parent, there]) if (held !== undefined) closeSync(held.fd);
  throw new FileFailure("PATH_CHANGED", `${doing}: something else came in its place meanwhile`);
}

function holdFolder(reach: Reach, root: Root, names: readonly string[]): Held | undefined {
  return names.length === 0 ? holdAgain(root.hold()) : reach.opener.hold(root.hold(), names);
}

function requireChangeable(reach: Reach, slot: Slot, path: string, options: SlotOptions): void {
  const { doing } = options;
  if (!slot.root.writable)
    throw new FileFailure(
      "PATH_NOT_ALLOWED",
      `${doing}: ${quoted(pathOf(slot.root.names))} may only be read`,
    );
  if (reach.roots.some(({ names }) => slot.names.every((name, index) => names[index] === name)))
    throw new FileFailure("PATH_NOT_ALLOWED", `${doing}: it holds a folder that may be used, which stays`);
  // As it was written too: where a link stands at a protected name, programs of the host go through it.
  for (const names of [slot.names, reach.namesOf(path)]) requireUnprotected(reach, names, options);
  if (slot.missing.length > 0 && !options.parents)
    throw new FileFailure(
      "PATH_NOT_FOUND",
      `${doing}: folder ${quoted(slot.missing[0] ?? "")} does not exist`,
    );
}

function requireUnprotected(reach: Reach, names: readonly string[], options: SlotOptions): void {
  const root = names.includes("..") ? undefined : reach.rootOf(names);
  if (root === undefined) return;
  const inRoot = names.slice(root.names.length);
  const entry = root.guard.touchedBy({
    root: root.hold(),
    names: inRoot,
    bringsNames: options.bringsNames,
  });
  if (entry === undefined) return;
  throw new FileFailure(
    "PATH_NOT_ALLOWED",
    `${options.doing}: "${entry}" is protected, because programs of the host run or trust it; ask the operator to change it`,
  );
}
