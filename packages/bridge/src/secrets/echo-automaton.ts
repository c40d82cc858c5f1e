/** Finds any of many byte strings in a stream in one pass (Aho and Corasick, 1975), as a table over classes of bytes. */
export class EchoAutomaton {
  /** Class of each byte; class 0 holds those that no needle has. */
  readonly #classes: Uint8Array;
  readonly #width: number;
  /** Row and class to row; rows are multiples of the width. */
  readonly #next: Int32Array | Uint16Array;
  readonly #depth: Uint16Array;
  readonly #hit: Uint16Array;

  constructor(needles: readonly Buffer[]) {
    const used = needles.filter((needle) => needle.length > 0);
    this.#classes = classesOf(used);
    this.#width = Math.max(...this.#classes) + 1;
    const rows = 1 + used.reduce((sum, needle) => sum + needle.length, 0);
    const trie = new Trie(rows, this.#width, this.#classes);
    for (const needle of used) trie.add(needle);
    trie.connect();
    const next = trie.next.subarray(0, trie.rows * this.#width);
    this.#next = trie.rows <= 65_536 ? Uint16Array.from(next) : next.slice();
    this.#depth = trie.depth.slice(0, trie.rows);
    this.#hit = trie.hit.slice(0, trie.rows);
  }

  /** Goes through `bytes` from `from` on, calls back for each needle that ends there with its begin and end, and answers the new state. */
  scan(bytes: Uint8Array, from: number, state: number, found: (begin: number, end: number) => void): number {
    const [next, classes, width, hit] = [this.#next, this.#classes, this.#width, this.#hit];
    let at = state;
    for (let index = from; index < bytes.length; index += 1) {
      at = next[at * width + (classes[bytes[index] ?? 0] ?? 0)] ?? 0;
      if (at === 0) continue;
      const length = hit[at] ?? 0;
      if (length > 0) found(index + 1 - length, index + 1);
    }
    return at;
  }

  /** How many of the last bytes may be the begin of a needle. */
  pending(state: number): number {
    return this.#depth[state] ?? 0;
  }
}

class Trie {
  readonly next: Int32Array;
  readonly depth: Uint16Array;
  /** Length of the longest needle that ends in a row. */
  readonly hit: Uint16Array;
  rows = 1;
  readonly #width: number;
  readonly #classes: Uint8Array;

  constructor(rows: number, width: number, classes: Uint8Array) {
    this.next = new Int32Array(rows * width);
    this.depth = new Uint16Array(rows);
    this.hit = new Uint16Array(rows);
    this.#width = width;
    this.#classes = classes;
  }

  add(needle: Buffer): void {
    let at = 0;
    for (const byte of needle) {
      const edge = at * this.#width + (this.#classes[byte] ?? 0);
      let to = this.next[edge] ?? 0;
      if (to === 0) {
        to = this.rows++;
        this.next[edge] = to;
        this.depth[to] = (this.depth[at] ?? 0) + 1;
      }
      at = to;
    }
    this.hit[at] = needle.length;
  }

  /** Fills in where a row goes when its own needles break off, breadth first. */
  connect(): void {
    const [width, next] = [this.#width, this.next];
    const fall = new Int32Array(this.rows);
    const queue: number[] = [];
    for (let of = 0; of < width; of += 1) if ((next[of] ?? 0) !== 0) queue.push(next[of] ?? 0);
    for (let head = 0; head < queue.length; head += 1) {
      const at = queue[head] ?? 0;
      const back = fall[at] ?? 0;
      this.hit[at] = Math.max(this.hit[at] ?? 0, this.hit[back] ?? 0);
      for (let of = 0; of < width; of += 1) {
        const to = next[at * width + of] ?? 0;
        const other = next[back * width + of] ?? 0;
        if (to === 0) next[at * width + of] = other;
        else {
          fall[to] = other;
          queue.push(to);
        }
      }
    }
  }
}

function classesOf(needles: readonly Buffer[]): Uint8Array {
  const classes = new Uint8Array(256);
  let count = 0;
  for (const needle of needles) {
    for (const byte of needle) if (classes[byte] === 0) classes[byte] = ++count;
  }
  return classes;
}
