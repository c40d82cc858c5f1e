import { statSync, watch, type FSWatcher } from "node:fs";

/** Watches a folder that may come and go; `look` takes it up when it is there, or there anew. */
export class FolderWatch implements Disposable {
  readonly #path: string;
  readonly #changed: () => void;
  #watched: { readonly identity: string; readonly watcher: FSWatcher } | undefined;

  constructor(path: string, changed: () => void) {
    this.#path = path;
    this.#changed = changed;
  }

  look(): void {
    const identity = identityOf(this.#path);
    if (this.#watched?.identity === identity) return;
    this[Symbol.dispose]();
    if (identity === undefined) return;
    try {
      const watcher = watch(this.#path, { persistent: false }, this.#changed);
      this.#watched = { identity, watcher: watcher.on("error", () => undefined) };
    } catch {
      // It went away in between, or the host has no watch left; the next look tries again.
    }
  }

  [Symbol.dispose](): void {
    this.#watched?.watcher.close();
    this.#watched = undefined;
  }
}

function identityOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true ? `${stat.dev}:${stat.ino}` : undefined;
}
