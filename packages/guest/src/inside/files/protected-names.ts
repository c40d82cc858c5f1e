import { closeSync } from "node:fs";
import type { BeneathOpener } from "./beneath-opener.ts";

/** What a change does to a path. */
export interface Touched {
  /** Folder that the names start at, held. */
  readonly root: number;
  readonly names: readonly string[];
  /** Whether a folder or link comes there, which brings names of its own. */
  readonly bringsNames: boolean;
}

/**
 * Names that programs of the host run or trust without being asked, in the form of the mounts' list: relative to a
 * repository, `.git/NAME` in every git folder. Mounts make those that exist read-only; here new ones are refused too,
 * in whatever case they are written.
 */
export class ProtectedNames {
  readonly #inRepo: readonly (readonly string[])[];
  readonly #inGit: ReadonlySet<string>;
  readonly #opener: BeneathOpener;

  constructor(names: readonly string[], opener: BeneathOpener) {
    const split = names.map((name) => name.toLowerCase().split("/").filter(Boolean));
    this.#inGit = new Set(split.flatMap(([first, second]) => (first === ".git" && second ? [second] : [])));
    this.#inRepo = split.filter(([first]) => first !== undefined && first !== ".git");
    this.#opener = opener;
  }

  /** The protected name that a change would touch, or undefined. */
  touchedBy(touched: Touched): string | undefined {
    const names = touched.names.map((name) => name.toLowerCase());
    return this.#gitName(touched, names) ?? this.#repoName(touched, names);
  }

  /** Git folders are not made by hand, and in those that exist the names that choose programs stay as they are. */
  #gitName(touched: Touched, names: readonly string[]): string | undefined {
    if (this.#inGit.size === 0) return undefined;
    const at = names.indexOf(".git");
    if (at === -1) return undefined;
    if (at === names.length - 1 || !this.#isFolder(touched.root, touched.names.slice(0, at + 1)))
      return ".git";
    const inside = names.slice(at + 1).find((name) => this.#inGit.has(name));
    return inside === undefined ? undefined : `.git/${inside}`;
  }

  #repoName(touched: Touched, names: readonly string[]): string | undefined {
    for (let at = 0; at < names.length; at += 1) {
      const entry = this.#inRepo.find((protectedName) => meets(names.slice(at), protectedName, touched));
      if (entry !== undefined && (at === 0 || this.#isRepo(touched.root, touched.names.slice(0, at))))
        return entry.join("/");
    }
    return undefined;
  }

  #isRepo(root: number, names: readonly string[]): boolean {
    return this.#kindOf(root, [...names, ".git"]) !== undefined;
  }

  #isFolder(root: number, names: readonly string[]): boolean {
    return this.#kindOf(root, names) === "folder";
  }

  #kindOf(root: number, names: readonly string[]): string | undefined {
    const held = this.#opener.hold(root, names);
    if (held !== undefined) closeSync(held.fd);
    return held?.kind;
  }
}

/** Whether names lie at or beneath a protected name, or are a folder above it that would bring it along. */
function meets(names: readonly string[], entry: readonly string[], { bringsNames }: Touched): boolean {
  const length = Math.min(names.length, entry.length);
  if (!entry.slice(0, length).every((name, index) => names[index] === name)) return false;
  return names.length >= entry.length || bringsNames;
}
