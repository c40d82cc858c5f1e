import { closeSync, mkdirSync, rmdirSync } from "node:fs";
import { FileFailure, errnoOf } from "./file-failure.ts";
import { holdName, inFolder } from "./held.ts";
import type { Slot } from "./slot.ts";

/** Folders that were made for changes; removed again unless the changes were done. */
export class MadeFolders implements Disposable {
  readonly #made: string[] = [];
  readonly #held: number[] = [];

  /** The folder of a slot, with those that were missing made. */
  folderOf(slot: Slot): number {
    let folder = slot.folder;
    for (const name of slot.missing) folder = this.#make(folder, name, slot.doing);
    return folder;
  }

  /** Removes what was made, as far as nobody put anything in it. */
  undo(): void {
    for (const path of this.#made.reverse()) {
      try {
        rmdirSync(path);
      } catch {
        // somebody uses it
      }
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#held) closeSync(fd);
  }

  #make(folder: number, name: string, doing: string): number {
    const path = inFolder(folder, name);
    try {
      mkdirSync(path);
      this.#made.push(path);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
    }
    const held = holdName(folder, name);
    if (held !== undefined) this.#held.push(held.fd);
    if (held?.kind === "folder") return held.fd;
    throw new FileFailure("PATH_CHANGED", `${doing}: "${name}" came there meanwhile and is no folder`);
  }
}
