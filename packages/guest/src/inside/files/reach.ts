import { closeSync, fstatSync } from "node:fs";
import type { FilesOpen, FilesRoot } from "../../files-protocol.ts";
import type { BeneathOpener } from "./beneath-opener.ts";
import { FileFailure, quoted } from "./file-failure.ts";
import { holdTop } from "./held.ts";
import { ProtectedNames } from "./protected-names.ts";

/** Names of an absolute path. */
export function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** The absolute path of names. */
export function pathOf(names: readonly string[]): string {
  return `/${names.join("/")}`;
}

/** One folder that is reached. What it was when first used stays it, whatever its path leads to later. */
export class Root implements Disposable {
  readonly names: readonly string[];
  readonly writable: boolean;
  readonly guard: ProtectedNames;
  readonly #opener: BeneathOpener;
  #fd: number | undefined;

  constructor(root: FilesRoot, opener: BeneathOpener) {
    this.names = namesOf(root.path);
    this.writable = root.access === "rw";
    this.guard = new ProtectedNames(root.protected, opener);
    this.#opener = opener;
  }

  /** The folder's descriptor; a folder that was removed is looked for anew. */
  hold(): number {
    if (this.#fd !== undefined && fstatSync(this.#fd).nlink > 0) return this.#fd;
    this[Symbol.dispose]();
    this.#fd = this.#open();
    return this.#fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** No symlink is followed on the way: the grant names the folder itself. */
  #open(): number {
    const top = holdTop();
    if (this.names.length === 0) return top.fd;
    try {
      const held = this.#opener.hold(top.fd, this.names);
      if (held?.kind === "folder") return held.fd;
      if (held !== undefined) closeSync(held.fd);
    } finally {
      closeSync(top.fd);
    }
    const path = quoted(pathOf(this.names));
    throw new FileFailure("PATH_NOT_FOUND", `Cannot reach ${path}: there is no such folder`);
  }
}

/** The folders that a stream reaches, and where its relative paths start. */
export class Reach implements Disposable {
  readonly roots: readonly Root[];
  readonly opener: BeneathOpener;
  readonly #workdir: readonly string[];

  constructor(open: FilesOpen, opener: BeneathOpener) {
    this.opener = opener;
    this.#workdir = namesOf(open.workdir);
    this.roots = open.roots
      .map((root) => new Root(root, opener))
      .sort((a, b) => b.names.length - a.names.length);
  }

  /** Whether the whole file system is reached. */
  get everything(): boolean {
    return this.roots.some(({ names }) => names.length === 0);
  }

  /** The deepest root that names lie in, or undefined; names behind a `..` say nothing of where they lead. */
  rootOf(names: readonly string[]): Root | undefined {
    return this.roots.find((root) => root.names.every((name, index) => names[index] === name));
  }

  /** Names that a path of a request is walked along; relative ones start at the working folder. */
  namesOf(path: string): string[] {
    if (path === "") throw new FileFailure("PATH_INVALID", `Cannot use "": the path is empty`);
    if (path.includes("\0"))
      throw new FileFailure("PATH_INVALID", `Cannot use ${quoted(path)}: it holds a NUL`);
    if (Buffer.byteLength(path) > 4096)
      throw new FileFailure("PATH_INVALID", `Cannot use ${quoted(path)}: it is over 4096 bytes`);
    return path.startsWith("/") ? namesOf(path) : [...this.#workdir, ...namesOf(path)];
  }

  [Symbol.dispose](): void {
    for (const root of this.roots) root[Symbol.dispose]();
  }
}
