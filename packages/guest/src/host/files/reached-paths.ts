import { protocolError } from "../guest-stream.ts";

/** Judges the paths that a guest answers: absolute, plain, and within the folders that the stream was opened with. */
export class ReachedPaths {
  readonly #roots: readonly string[];

  constructor(roots: readonly string[]) {
    this.#roots = roots.map(
      (root) =>
        `/${root
          .split("/")
          .filter((name) => name !== "" && name !== ".")
          .join("/")}`,
    );
  }

  require(path: string): void {
    const plain = path === "/" || /^(?:\/[^/\0]+)+$/.test(path);
    const isSteps = /\/\.\.?(?:\/|$)/.test(path);
    const reached = this.#roots.some((root) => root === "/" || path === root || path.startsWith(`${root}/`));
    if (!plain || isSteps || !reached) throw protocolError("it answers with a path that was not asked for");
  }
}
