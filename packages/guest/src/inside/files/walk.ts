import { closeSync, readlinkSync } from "node:fs";
import { FileFailure, errnoOf, fileFailure, quoted } from "./file-failure.ts";
import { holdAgain, holdName, inFolder, type Held } from "./held.ts";
import { namesOf, pathOf, type Reach, type Root } from "./reach.ts";

const MAX_LINKS = 40;
const MAX_STEPS_UP = 256;
const MAX_NAMES = 8192;

/** Where a path led. */
export interface Place {
  /** Names of the absolute path with every symlink resolved, but for those of `missing`. */
  readonly names: readonly string[];
  /** The deepest root that it lies in. */
  readonly root: Root;
}

/** Something that exists, held. */
export interface Found extends Place {
  readonly held: Held;
}

/** Nothing is there: the folder that exists, held, and the names that are missing in it. */
export interface Missing extends Place {
  readonly folder: number;
  readonly missing: readonly [string, ...string[]];
}

/** What a walk ended at; whoever asked closes the descriptor in it. */
export type Walked = Found | Missing;

/** Whether a walk ended at something. */
export function isFound(walked: Walked): walked is Found {
  return "held" in walked;
}

/** How a walk is asked for. */
export interface WalkOptions {
  /** Whether a symlink at the end is followed. */
  readonly follow: boolean;
  /** Beginning of the sentence when it fails, e.g. `Cannot read "a"`. */
  readonly doing: string;
}

/**
 * Walks a path from the roots by descriptors, name by name. A symlink is read and its target walked from the roots anew,
 * so that it leads nowhere else than to what is reached; what is swapped meanwhile changes where a walk ends, never that.
 */
export function walk(reach: Reach, path: string, options: WalkOptions): Walked {
  const walker = new Walker(reach, options);
  try {
    return walker.run(reach.namesOf(path));
  } catch (error) {
    throw fileFailure(error, options.doing);
  }
}

/** As `walk`, for what has to exist. */
export function walkToFound(reach: Reach, path: string, options: WalkOptions): Found {
  const walked = walk(reach, path, options);
  if (isFound(walked)) return walked;
  closeSync(walked.folder);
  throw new FileFailure("PATH_NOT_FOUND", `${options.doing}: it does not exist`);
}

class Walker {
  readonly #reach: Reach;
  readonly #options: WalkOptions;
  #links = 0;
  #up = 0;

  constructor(reach: Reach, options: WalkOptions) {
    this.#reach = reach;
    this.#options = options;
  }

  run(names: readonly string[]): Walked {
    for (let next: readonly string[] | Walked = names; ;) {
      if (!isNames(next)) return next;
      if (next.length > MAX_NAMES) throw this.#fail("PATH_INVALID", "it has too many names");
      next = this.#from(next);
    }
  }

  /** Walks from the deepest root; answers where that ended, or the names to walk from the roots instead. */
  #from(names: readonly string[]): Walked | readonly string[] {
    const root = this.#reach.rootOf(names);
    if (root === undefined) return this.#outside(names);
    const rest = names.slice(root.names.length);
    return this.#atOnce(root, names, rest) ?? this.#byName(root, rest);
  }

  /** Before the first root there may be steps up that lead to one. */
  #outside(names: readonly string[]): readonly string[] {
    const at = names.indexOf("..");
    if (at === -1) {
      const via = this.#links > 0 ? `a symlink leads to ${quoted(pathOf(names))}, which is` : "it lies";
      throw this.#fail("PATH_NOT_ALLOWED", `${via} outside the folders that may be used`);
    }
    this.#stepUp();
    return [...names.slice(0, Math.max(0, at - 1)), ...names.slice(at + 1)];
  }

  #atOnce(root: Root, names: readonly string[], rest: readonly string[]): Walked | undefined {
    if (rest.includes("..")) return undefined;
    const held = this.#reach.opener.tryHold(root.hold(), rest);
    if (held === undefined) return undefined;
    if (held.kind !== "symlink" || !this.#options.follow) return { held, names, root };
    closeSync(held.fd);
    return undefined;
  }

  #byName(root: Root, rest: readonly string[]): Walked | readonly string[] {
    const names = [...root.names];
    const step = new Step(root.hold());
    try {
      for (const [index, name] of rest.entries()) {
        const after = rest.slice(index + 1);
        if (step.held.kind !== "folder") throw this.#fail("PATH_NOT_DIRECTORY", notFolder(names));
        if (name === "..") return this.#above(names, after);
        const next = holdName(step.held.fd, name);
        if (next === undefined) return this.#missing(step, names, [name, ...after]);
        if (next.kind === "symlink" && (after.length > 0 || this.#options.follow)) {
          closeSync(next.fd);
          return this.#followed(step.held.fd, name, names, after);
        }
        step.to(next);
        names.push(name);
      }
      return { held: step.keep(), names, root: this.#rootOf(names) };
    } finally {
      step[Symbol.dispose]();
    }
  }

  #missing(step: Step, names: readonly string[], missing: readonly [string, ...string[]]): Missing {
    if (missing.includes("..")) throw this.#fail("PATH_NOT_FOUND", "a folder on the way does not exist");
    const all = [...names, ...missing];
    const root = this.#rootOf(all);
    return { folder: step.keep().fd, names: all, missing, root };
  }

  #followed(folder: number, name: string, names: readonly string[], after: readonly string[]): string[] {
    this.#links += 1;
    if (this.#links > MAX_LINKS) throw this.#fail("PATH_INVALID", "it leads through too many symlinks");
    const target = readLink(folder, name);
    // swapped for something else between the two looks: looked at again
    if (target === undefined) return [...names, name, ...after];
    return [...(target.startsWith("/") ? [] : names), ...namesOf(target), ...after];
  }

  #above(names: readonly string[], after: readonly string[]): string[] {
    this.#stepUp();
    return [...names.slice(0, -1), ...after];
  }

  #stepUp(): void {
    this.#up += 1;
    if (this.#up > MAX_STEPS_UP) throw this.#fail("PATH_INVALID", "it goes up too many times");
  }

  #rootOf(names: readonly string[]): Root {
    const root = this.#reach.rootOf(names);
    if (root === undefined)
      throw this.#fail("PATH_NOT_ALLOWED", "it lies outside the folders that may be used");
    return root;
  }

  #fail(code: FileFailure["code"], why: string): FileFailure {
    return new FileFailure(code, `${this.#options.doing}: ${why}`);
  }
}

/** The one descriptor that a walk holds while it goes down. */
class Step implements Disposable {
  #held: Held | undefined;

  constructor(root: number) {
    this.#held = holdAgain(root);
  }

  get held(): Held {
    if (this.#held === undefined) throw new Error("Cannot go on with a walk that is over");
    return this.#held;
  }

  to(next: Held): void {
    this[Symbol.dispose]();
    this.#held = next;
  }

  /** Gives the descriptor away. */
  keep(): Held {
    const { held } = this;
    this.#held = undefined;
    return held;
  }

  [Symbol.dispose](): void {
    if (this.#held !== undefined) closeSync(this.#held.fd);
    this.#held = undefined;
  }
}

function isNames(next: Walked | readonly string[]): next is readonly string[] {
  return Array.isArray(next);
}

function notFolder(names: readonly string[]): string {
  return `${quoted(pathOf(names))} is no folder`;
}

function readLink(folder: number, name: string): string | undefined {
  try {
    return readlinkSync(inFolder(folder, name));
  } catch (error) {
    if (errnoOf(error) === "EINVAL" || errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
