import { hostFailure, outsideScope } from "../failures.ts";
import { childOf, type Place } from "./file-roots.ts";
import { observe, observeTree, type Observed } from "./observe.ts";

/** What will stand at a place once the operations before have been done. */
export interface PlannedNode {
  readonly kind: Observed["kind"];
  readonly content: Buffer | null;
  readonly size: number;
  readonly links: number;
  /** Where what it holds is on the disk now; null for what is new. */
  readonly disk: Place | null;
}

const ABSENT: PlannedNode = { kind: "absent", content: null, size: 0, links: 0, disk: null };

/** The files of a scope as the operations of a plan change them one by one; remembers all that it looked at. */
export class PlannedTree {
  readonly #changed = new Map<string, PlannedNode>();
  readonly #seen = new Map<string, string>();

  /** What a place will be. Throws an ActionError with SCOPE_VIOLATION when a link stands on the way. */
  at(place: Place): PlannedNode {
    let place_: Place = { root: place.root, names: [], path: place.root.folder };
    let node = this.#changed.get(place_.path) ?? this.#fromDisk(place_);
    for (const name of place.names) {
      if (node.kind === "link") throw outsideScope(`Cannot use "${place.path}": a symlink stands on the way`);
      place_ = childOf(place_, name);
      const below: PlannedNode =
        node.kind !== "folder" || node.disk === null ? ABSENT : this.#fromDisk(childOf(node.disk, name));
      node = this.#changed.get(place_.path) ?? below;
    }
    return node;
  }

  /** A place that is written to; its folder has to be there. */
  folder(place: Place): PlannedNode {
    const node = this.at(place);
    if (node.kind === "link") throw outsideScope(`Cannot use "${place.path}": it is a symlink`);
    if (node.kind !== "folder") throw hostFailure(`Cannot use "${place.path}": there is no such folder`);
    return node;
  }

  /** How many entries a folder will hold, at every depth. */
  entriesOf(place: Place): number {
    const { disk } = this.at(place);
    const lines = disk === null ? [] : observeTree(disk);
    if (disk !== null) this.#seen.set(`${disk.path}/**`, lines.join("\n"));
    const changed = [...this.#changed].filter(([path]) => path.startsWith(`${place.path}/`));
    const gone = changed.filter(([, node]) => node.kind === "absent").length;
    return Math.max(0, lines.length + changed.length - 2 * gone);
  }

  put(place: Place, node: PlannedNode): void {
    this.#forget(place.path);
    this.#changed.set(place.path, node);
  }

  remove(place: Place): void {
    this.put(place, ABSENT);
  }

  move(from: Place, to: Place): void {
    const node = this.at(from);
    const below = [...this.#changed].filter(([path]) => path.startsWith(`${from.path}/`));
    this.remove(from);
    this.put(to, node);
    for (const [path, inner] of below) this.#changed.set(to.path + path.slice(from.path.length), inner);
  }

  /** All that was looked at, in a fixed order. */
  seen(): readonly (readonly [string, string])[] {
    return [...this.#seen].sort(([one], [other]) => (one < other ? -1 : 1));
  }

  #forget(path: string): void {
    for (const key of [...this.#changed.keys()]) if (key.startsWith(`${path}/`)) this.#changed.delete(key);
  }

  #fromDisk(place: Place): PlannedNode {
    const { kind, content, size, links, line } = observe(place);
    this.#seen.set(place.path, line);
    return { kind, content, size, links, disk: place };
  }
}
