import { closeSync } from "node:fs";
import { lstat } from "node:fs/promises";
import { DoorwardError } from "@doorward/contracts";
import { shownPath, type HeldPath } from "../../policy/index.ts";
import type { EngineMount } from "../engine.ts";
import { openBeneath } from "./beneath.ts";

interface Holding {
  readonly fd: number;
  readonly repo: HeldPath;
  readonly path: string;
}

/** The sources of a plan, held open so that a device and inode stay theirs. */
export class Holdings implements AsyncDisposable {
  readonly #entries: Holding[] = [];
  readonly #folders: HeldPath[] = [];
  readonly #sources = new Map<string, { dev: number; ino: number }>();

  /** Takes over a held folder; it is closed with the plan. */
  keep(folder: HeldPath): HeldPath {
    this.#folders.push(folder);
    return folder;
  }

  /** Holds a path of a repo and answers what it is. */
  take(repo: HeldPath, path: string): EngineMount["identity"] {
    const entry = openBeneath(repo.fd, path);
    if (entry === null || (entry.kind !== "file" && entry.kind !== "folder")) {
      if (entry !== null) closeSync(entry.fd);
      throw changed(repo, path);
    }
    this.#entries.push({ fd: entry.fd, repo, path });
    const { dev, ino } = entry.stat;
    this.#sources.set(`${repo.resolved}/${path}`, { dev, ino });
    return { dev, ino };
  }

  /** Identity of a file or folder of the bridge itself. */
  async identify(source: string): Promise<EngineMount["identity"]> {
    const known = this.#sources.get(source);
    if (known !== undefined) return known;
    const { dev, ino } = await lstat(source);
    this.#sources.set(source, { dev, ino });
    return { dev, ino };
  }

  /** Throws `PATH_CHANGED` when a path beneath a repo is not what was taken. */
  verify(): void {
    for (const { repo, path } of this.#entries) {
      const entry = openBeneath(repo.fd, path);
      const decided = this.#sources.get(`${repo.resolved}/${path}`);
      if (entry !== null) closeSync(entry.fd);
      if (entry?.stat.dev !== decided?.dev || entry?.stat.ino !== decided?.ino) throw changed(repo, path);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { fd } of this.#entries.splice(0)) closeSync(fd);
    await Promise.all(this.#folders.splice(0).map((folder) => folder[Symbol.asyncDispose]()));
  }
}

function changed(repo: HeldPath, path: string): DoorwardError {
  return new DoorwardError({
    code: "PATH_CHANGED",
    message: `Cannot mount "${shownPath(`${repo.resolved}/${path}`)}": it changed between the decision and its use`,
    hint: "Something changed this path during the launch; try again when nothing does",
  });
}
