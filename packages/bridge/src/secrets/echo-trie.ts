const NONE = 0xffff;

/** A finished trie, as {@link EchoAutomaton} walks it. */
export interface ConnectedTrie {
  /** Class of each byte; class 0 holds those that no needle has. */
  readonly classes: Uint16Array;
  /** Class that leads from a node to the one right after it; beyond all classes where none does. */
  readonly step: Uint16Array;
  /** Where a node goes when the step is not taken; of a node with a table, the complement of where its table begins. */
  readonly way: Int32Array;
  /** Tables of the nodes that have one: class to node. */
  readonly tables: Int32Array;
  readonly depth: Uint16Array;
  /** Length of the longest needle that ends in a node. */
  readonly hit: Uint16Array;
}

/** Builds the trie of many byte strings, with where each node goes when its own needles break off. */
export function connectedTrie(needles: readonly Buffer[]): ConnectedTrie {
  const trie = new Trie(needles);
  for (const needle of needles) trie.add(needle);
  return trie.connect();
}

/** Nodes are numbered as they are made, so that most have one child, and it is the next one. */
class Trie {
  readonly #classes: Uint16Array;
  readonly #width: number;
  readonly #label: Uint16Array;
  readonly #child: Int32Array;
  readonly #sibling: Int32Array;
  readonly #depth: Uint16Array;
  readonly #hit: Uint16Array;
  #nodes = 1;

  constructor(needles: readonly Buffer[]) {
    const most = 1 + needles.reduce((sum, needle) => sum + needle.length, 0);
    this.#classes = classesOf(needles);
    this.#width = Math.max(...this.#classes) + 1;
    this.#label = new Uint16Array(most);
    this.#child = new Int32Array(most);
    this.#sibling = new Int32Array(most);
    this.#depth = new Uint16Array(most);
    this.#hit = new Uint16Array(most);
  }

  add(needle: Buffer): void {
    let at = 0;
    for (const byte of needle) {
      const label = this.#classes[byte] ?? 0;
      at = this.#childOf(at, label) || this.#grow(at, label);
    }
    this.#hit[at] = needle.length;
  }

  /** Breadth first: where a node falls back to is finished before it. */
  connect(): ConnectedTrie {
    const step = new Uint16Array(this.#nodes).fill(NONE);
    const way = new Int32Array(this.#nodes);
    const tabled = this.#tabled();
    const tables = new Int32Array(tabled.length * this.#width);
    const begins = new Map(tabled.map((node, index) => [node, index * this.#width]));
    const built = { classes: this.#classes, step, way, tables };
    const queue = new Int32Array(this.#nodes);
    let end = 1;
    for (let head = 0; head < end; head += 1) {
      const at = queue[head] ?? 0;
      const back = way[at] ?? 0;
      this.#hit[at] = Math.max(this.#hit[at] ?? 0, this.#hit[back] ?? 0);
      const fallen = (label: number): number => (at === 0 ? 0 : follow(built, back, label));
      for (let to = this.#child[at] ?? 0; to !== 0; to = this.#sibling[to] ?? 0) {
        way[to] = fallen(this.#label[to] ?? 0);
        queue[end++] = to;
      }
      const begin = begins.get(at);
      if (begin === undefined) step[at] = this.#child[at] === at + 1 ? (this.#label[at + 1] ?? NONE) : NONE;
      else {
        for (let label = 0; label < this.#width; label += 1) {
          tables[begin + label] = this.#childOf(at, label) || fallen(label);
        }
        way[at] = ~begin;
      }
    }
    return { ...built, depth: this.#depth.slice(0, this.#nodes), hit: this.#hit.slice(0, this.#nodes) };
  }

  /** Nodes that text goes through again and again, and those whose way on is not only the next node. */
  #tabled(): number[] {
    const found: number[] = [];
    for (let at = 0; at < this.#nodes; at += 1) {
      const child = this.#child[at] ?? 0;
      const plain = child === 0 || (child === at + 1 && this.#sibling[child] === 0);
      if (!plain || (this.#depth[at] ?? 0) < 2) found.push(at);
    }
    return found;
  }

  #childOf(at: number, label: number): number {
    let child = this.#child[at] ?? 0;
    while (child !== 0 && this.#label[child] !== label) child = this.#sibling[child] ?? 0;
    return child;
  }

  #grow(at: number, label: number): number {
    const node = this.#nodes++;
    this.#label[node] = label;
    this.#depth[node] = (this.#depth[at] ?? 0) + 1;
    this.#sibling[node] = this.#child[at] ?? 0;
    this.#child[at] = node;
    return node;
  }
}

function follow(
  { step, way, tables }: Pick<ConnectedTrie, "step" | "way" | "tables">,
  from: number,
  label: number,
): number {
  for (let at = from; ;) {
    const on = way[at] ?? -1;
    if (on < 0) return tables[~on + label] ?? 0;
    if (step[at] === label) return at + 1;
    at = on;
  }
}

function classesOf(needles: readonly Buffer[]): Uint16Array {
  const classes = new Uint16Array(256);
  let count = 0;
  for (const needle of needles) {
    for (const byte of needle) if (classes[byte] === 0) classes[byte] = ++count;
  }
  return classes;
}
