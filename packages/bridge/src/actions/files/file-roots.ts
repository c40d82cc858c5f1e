import { closeSync, constants, fstatSync, openSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { DoorwardError, type FileScope } from "@doorward/contracts";
import { beneathRoot, type PathRules } from "../../hosts/path-rules.ts";
import { openBeneath, type HeldEntry } from "../../machines/mounts/beneath.ts";
import { hostFailure, outsideScope, reasonOf } from "../failures.ts";

// From the kernel's fcntl.h; Node has no name for it.
const O_PATH = 0o10_000_000;

/** A root of a scope, resolved when the scope was loaded: what it is stays, whatever its path leads to later. */
export interface FileRoot {
  /** Both spellings: as the policy has it, and with its links resolved. */
  readonly spellings: readonly (readonly string[])[];
  /** The folder that is walked from, with its identity. */
  readonly folder: string;
  readonly dev: number;
  readonly ino: number;
  /** The one name that may be touched, when the root is a file. */
  readonly only: string | null;
}

/** A path of a request beneath a root. */
export interface Place {
  readonly root: FileRoot;
  readonly names: readonly string[];
  /** The path with the links of its root resolved. */
  readonly path: string;
}

/** Resolves the roots of a scope; one that does not exist is left out, so that nothing lies beneath it. */
export function loadRoots(scope: FileScope, rules: PathRules): readonly FileRoot[] {
  return scope.roots.flatMap((root) => {
    const written = root === "~" || root.startsWith("~/") ? join(homedir(), root.slice(1)) : root;
    try {
      return [loadRoot(written, rules)];
    } catch {
      return [];
    }
  });
}

/** Resolves one root, a folder or a file. Throws when it does not exist. */
export function loadRoot(written: string, rules: PathRules): FileRoot {
  const real = realpathSync(written);
  const isFolder = statSync(real).isDirectory();
  const folder = isFolder ? real : dirname(real);
  const { dev, ino } = statSync(folder);
  const spellings = [written, real].flatMap((path) => {
    const split = rules.split(path);
    return "names" in split ? [split.names] : [];
  });
  return { spellings, folder, dev, ino, only: isFolder ? null : basename(real) };
}

/** Finds the root that a path lies beneath. Throws an ActionError with SCOPE_VIOLATION when there is none. */
export function placeOf(roots: readonly FileRoot[], path: string, rules: PathRules): Place {
  const split = rules.split(path);
  if ("problem" in split) throw outsideScope(`Cannot use "${path}": ${split.problem}`);
  for (const root of roots) {
    for (const spelling of root.spellings) {
      const below = beneathRoot(rules, spelling, split.names);
      if (below === null || (root.only !== null && below.length > 0)) continue;
      const names = root.only === null ? below : [root.only];
      return { root, names, path: join(root.folder, ...names) };
    }
  }
  throw outsideScope(`Cannot use "${path}": it lies outside the roots of the scope`);
}

/** The folder that holds a place, and the place's name in it. Throws for a root itself. */
export function parentOf(place: Place): { readonly parent: Place; readonly name: string } {
  const name = place.names.at(-1);
  if (name === undefined) throw outsideScope(`Cannot change "${place.path}": it is the root of the scope`);
  const names = place.names.slice(0, -1);
  return { parent: { root: place.root, names, path: join(place.root.folder, ...names) }, name };
}

/** A place beneath another. */
export function childOf(place: Place, name: string): Place {
  return { root: place.root, names: [...place.names, name], path: join(place.path, name) };
}

/** Opens a place name by name without following a link; null when it does not exist. The caller closes it. */
export function holdPlace(place: Place): HeldEntry | null {
  const root = holdRoot(place.root);
  try {
    const held = openBeneath(root, place.names.join("/"));
    if (held !== null && held.stat.dev !== place.root.dev) {
      closeSync(held.fd);
      throw outsideScope(
        `Cannot use "${place.path}": it lies on another file system than the root of the scope`,
      );
    }
    return held;
  } catch (error) {
    if (error instanceof DoorwardError)
      throw outsideScope(`Cannot use "${place.path}": a symlink stands on the way`);
    throw error;
  } finally {
    closeSync(root);
  }
}

/** Works in a folder that is held open. Throws an ActionError when the place is no folder. */
export function inHeldFolder<T>(place: Place, work: (fd: number) => T): T {
  const held = holdPlace(place);
  if (held === null) throw hostFailure(`Cannot use "${place.path}": there is no such folder`);
  try {
    if (held.kind === "link") throw outsideScope(`Cannot use "${place.path}": it is a symlink`);
    if (held.kind !== "folder") throw hostFailure(`Cannot use "${place.path}": it is no folder`);
    return work(held.fd);
  } finally {
    closeSync(held.fd);
  }
}

function holdRoot(root: FileRoot): number {
  let fd: number;
  try {
    fd = openSync(root.folder, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    throw outsideScope(
      `Cannot use "${root.folder}": the root of the scope cannot be opened: ${reasonOf(error)}`,
    );
  }
  const { dev, ino } = fstatSync(fd);
  if (dev === root.dev && ino === root.ino) return fd;
  closeSync(fd);
  throw outsideScope(
    `Cannot use "${root.folder}": another folder stands there than when the policy was loaded`,
  );
}
