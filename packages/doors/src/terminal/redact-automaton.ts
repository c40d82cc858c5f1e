const NONE: readonly number[] = [];

/**
 * Finds any of many literals in a text, one byte at a time, upper case as lower case (Aho and Corasick, 1975).
 * States are rows of a table over classes of bytes; 0 is the state in which nothing has begun.
 */
export class LiteralAutomaton {
  /** Class of each byte, 0 for those that no literal has. */
  readonly classes: Uint8Array;
  readonly width: number;
  /** State and class to state; states are multiples of the width. */
  readonly next: Int32Array;
  /** 1 for states in which a literal ends. */
  readonly ends: Uint8Array;
  readonly #depth: Uint16Array;
  readonly #found: readonly (readonly number[])[];

  constructor(literals: readonly string[]) {
    const needles = literals.map((literal) => Buffer.from(literal.toLowerCase(), "latin1"));
    this.classes = classesOf(needles);
    this.width = Math.max(...this.classes) + 1;
    const most = 1 + needles.reduce((sum, needle) => sum + needle.length, 0);
    const trie = new Trie(most, this.width, this.classes);
    needles.forEach((needle, index) => trie.add(needle, index));
    trie.connect();
    this.next = trie.next.map((row) => row * this.width);
    this.#depth = trie.depth;
    this.#found = trie.found;
    this.ends = Uint8Array.from({ length: most * this.width }, (_, at) =>
      at % this.width === 0 && (trie.found[at / this.width] ?? NONE).length > 0 ? 1 : 0,
    );
  }

  /** How many of the last bytes may be the begin of a literal. */
  pending(state: number): number {
    return this.#depth[state / this.width] ?? 0;
  }

  /** Indices of the literals that end in a state, the longest first. */
  found(state: number): readonly number[] {
    return this.#found[state / this.width] ?? NONE;
  }
}

class Trie {
  readonly next: Int32Array;
  readonly depth: Uint16Array;
  readonly found: (readonly number[])[] = [];
  #rows = 1;
  readonly #width: number;
  readonly #classes: Uint8Array;

  constructor(most: number, width: number, classes: Uint8Array) {
    this.next = new Int32Array(most * width);
    this.depth = new Uint16Array(most);
    this.#width = width;
    this.#classes = classes;
  }

  add(needle: Buffer, index: number): void {
    let at = 0;
    for (const byte of needle) {
      const edge = at * this.#width + (this.#classes[byte] ?? 0);
      let to = this.next[edge] ?? 0;
      if (to === 0) {
        to = this.#rows++;
        this.next[edge] = to;
        this.depth[to] = (this.depth[at] ?? 0) + 1;
      }
      at = to;
    }
    this.found[at] = [...(this.found[at] ?? NONE), index];
  }

  /** Fills in where a row goes when its own literals break off, breadth first. */
  connect(): void {
    const [width, next] = [this.#width, this.next];
    const fall = new Int32Array(this.#rows);
    const queue = Array.from(next.subarray(0, width)).filter((row) => row !== 0);
    for (let head = 0; head < queue.length; head += 1) {
      const at = queue[head] ?? 0;
      const back = fall[at] ?? 0;
      this.found[at] = [...(this.found[at] ?? NONE), ...(this.found[back] ?? NONE)];
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
  for (const byte of needles.flatMap((needle) => [...needle]))
    if (classes[byte] === 0) classes[byte] = ++count;
  for (let upper = 0x41; upper <= 0x5a; upper += 1) classes[upper] = classes[upper + 0x20] ?? 0;
  return classes;
}
