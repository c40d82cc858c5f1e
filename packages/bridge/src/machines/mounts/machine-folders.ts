import { basename } from "node:path";

/** Hands out names under `/workspace`, each once. */
export class MachineFolders {
  readonly #taken = new Set<string>();

  /** Name of the folder for a repo, made of the last part of its path. */
  take(hostPath: string): string {
    const plain = basename(hostPath)
      .replace(/[^A-Za-z0-9._-]+/g, "-")
      .replace(/^[.-]+/, "")
      .slice(0, 80);
    const wanted = plain === "" ? "repo" : plain;
    let name = wanted;
    for (let count = 2; this.#taken.has(name); count += 1) name = `${wanted}-${count}`;
    this.#taken.add(name);
    return name;
  }
}
