import { closeSync, readFileSync, renameSync, rmdirSync, unlinkSync, linkSync } from "node:fs";
import type { WireChange } from "../../files-protocol.ts";
import { checkExpectation, requireUnchanged } from "./expectation.ts";
import { FileFailure, errnoOf, quoted } from "./file-failure.ts";
import { inFolder, type Held } from "./held.ts";
import type { MadeFolders } from "./made-folders.ts";
import { partsOf } from "./read-file.ts";
import { pathOf, type Reach } from "./reach.ts";
import { findSlot, stillThere, type Slot } from "./slot.ts";
import { writeTemp, type TempFile } from "./temp-file.ts";
import { isFound, walk } from "./walk.ts";

/** What a change came to. */
export interface Changed {
  readonly path: string;
  readonly created: boolean;
}

/** One change on its way: found, then checked, then prepared beside its place, then put there in one step. */
export class PlannedChange implements Disposable {
  readonly change: WireChange;
  readonly #reach: Reach;
  readonly #doing: string;
  readonly #slot: Slot;
  readonly #to: Slot | undefined;
  #temp: TempFile | undefined;
  #folder: number;

  constructor(reach: Reach, change: WireChange) {
    const { path } = change;
    this.change = change;
    this.#reach = reach;
    this.#doing = doingOf(change);
    this.#slot = findSlot(reach, path, {
      doing: this.#doing,
      follow: change.kind === "write",
      parents: change.kind === "write" && change.parents,
      bringsNames: change.kind !== "write",
    });
    this.#folder = this.#slot.folder;
    try {
      this.#to = change.kind === "move" ? this.#target(change) : undefined;
      this.#requireKind();
    } catch (error) {
      this.#slot[Symbol.dispose]();
      throw error;
    }
  }

  /** Paths that it changes. */
  get paths(): string[] {
    return [this.#slot, this.#to].flatMap((slot) => (slot === undefined ? [] : [pathOf(slot.names)]));
  }

  /** Descriptors of the folders whose names it changes. */
  get folders(): number[] {
    return this.#to === undefined ? [this.#folder] : [this.#slot.folder, this.#folder];
  }

  async check(signal: AbortSignal): Promise<void> {
    const { expect } = this.change;
    if (this.#slot.there?.kind !== "symlink" || typeof expect === "string") {
      await checkExpectation(this.#slot, this.#slot.there, expect, signal);
      return;
    }
    // A link is removed or moved itself; what was read before is the file that it leads to.
    const walked = walk(this.#reach, this.change.path, { follow: true, doing: this.#doing });
    try {
      await checkExpectation(this.#slot, isFound(walked) ? walked.held : undefined, expect, signal);
    } finally {
      closeSync(isFound(walked) ? walked.held.fd : walked.folder);
    }
  }

  /** Makes folders, and writes what is new beside where it goes. */
  async prepare(made: MadeFolders, body: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
    if (this.change.kind === "remove") return;
    this.#folder = made.folderOf(this.#to ?? this.#slot);
    const { there } = this.#slot;
    if (this.change.kind === "write")
      this.#temp = await writeTemp(
        this.#folder,
        { replaced: there, executable: this.change.executable },
        body,
      );
    else if (mountOf(this.#folder) !== mountOf(this.#slot.folder)) await this.#copy(signal);
  }

  /** Refuses when anything that was checked is another thing now. */
  recheck(): void {
    for (const slot of [this.#slot, this.#to]) {
      if (slot === undefined) continue;
      requireUnchanged(slot, slot === this.#to ? "absent" : this.change.expect);
      if (!stillThere(this.#reach, slot))
        throw new FileFailure("PATH_CHANGED", `${this.#doing}: a folder on the way was moved meanwhile`);
    }
  }

  commit(): Changed {
    const at = inFolder(this.#folder, (this.#to ?? this.#slot).name);
    if (this.change.kind === "write") this.#commitWrite(at);
    else if (this.change.kind === "move") this.#commitMove(at);
    else if (this.#slot.there?.kind === "folder") rmdirSync(at);
    else unlinkSync(at);
    const created =
      this.change.kind === "move" || (this.change.kind === "write" && this.#slot.there === undefined);
    return { path: pathOf((this.#to ?? this.#slot).names), created };
  }

  [Symbol.dispose](): void {
    this.#temp?.remove();
    this.#slot[Symbol.dispose]();
    this.#to?.[Symbol.dispose]();
  }

  #commitWrite(at: string): void {
    const temp = this.#temp?.path ?? "";
    if (this.change.expect === "absent") placeExclusively(temp, at, this.#doing);
    else renameSync(temp, at);
  }

  #commitMove(at: string): void {
    const from = inFolder(this.#slot.folder, this.#slot.name);
    if (this.#slot.there?.kind === "folder") renameSync(from, at);
    else placeExclusively(this.#temp?.path ?? from, at, this.#doing);
    if (this.#temp !== undefined) unlinkSync(from);
  }

  async #copy(signal: AbortSignal): Promise<void> {
    const { there } = this.#slot;
    if (there?.kind !== "file")
      throw new FileFailure(
        "PATH_NOT_ALLOWED",
        `${this.#doing}: it would go to another mount of the machine, where only files can go; move its files one by one`,
      );
    this.#temp = await writeTemp(this.#folder, { replaced: there }, partsOf(there, this.#doing, signal));
  }

  #target(change: Extract<WireChange, { kind: "move" }>): Slot {
    const { kind } = requireThere(this.#slot);
    const { parents, to } = change;
    const bringsNames = kind !== "file";
    const slot = findSlot(this.#reach, to, { doing: this.#doing, follow: false, parents, bringsNames });
    if (slot.there === undefined) return slot;
    slot[Symbol.dispose]();
    throw new FileFailure("PATH_CHANGED", `${this.#doing}: ${quoted(to)} exists already`);
  }

  #requireKind(): void {
    if (this.change.kind !== "write") requireThere(this.#slot);
    else if (this.#slot.there?.kind === "folder")
      throw new FileFailure("PATH_INVALID", `${this.#doing}: it is a folder`);
    else if (this.#slot.there !== undefined && this.#slot.there.kind !== "file")
      throw new FileFailure("PATH_INVALID", `${this.#doing}: it is no regular file`);
  }
}

function doingOf(change: WireChange): string {
  if (change.kind === "move") return `Cannot move ${quoted(change.path)} to ${quoted(change.to)}`;
  return `Cannot ${change.kind} ${quoted(change.path)}`;
}

function requireThere(slot: Slot): Held {
  if (slot.there !== undefined) return slot.there;
  throw new FileFailure("PATH_NOT_FOUND", `${slot.doing}: it does not exist`);
}

/** Gives a file a name that nothing has yet; whoever takes that name first wins. */
function placeExclusively(from: string, at: string, doing: string): void {
  try {
    linkSync(from, at);
  } catch (error) {
    if (errnoOf(error) === "EEXIST")
      throw new FileFailure("PATH_CHANGED", `${doing}: something came there meanwhile`);
    // file systems without hard links, and files of others that may not be linked
    renameSync(from, at);
    return;
  }
  unlinkSync(from);
}

/** The mount that a held folder lies on: renaming between mounts fails even where both are of one file system. */
function mountOf(folder: number): string | undefined {
  return /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${String(folder)}`, "utf8"))?.[1];
}
