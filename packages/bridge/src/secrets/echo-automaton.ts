import { connectedTrie, type ConnectedTrie } from "./echo-trie.ts";

/**
 * Finds any of many byte strings in a stream in one pass (Aho and Corasick, 1975). Few nodes have a table; all others
 * know one byte that goes on, and a node to fall back to: some ten bytes for each byte of a needle.
 */
export class EchoAutomaton {
  readonly #trie: ConnectedTrie;

  constructor(needles: readonly Buffer[]) {
    this.#trie = connectedTrie(needles.filter((needle) => needle.length > 0));
  }

  /** Goes through `bytes` from `from` on, calls back for each needle that ends there with its begin and end, and answers the new state. */
  scan(bytes: Uint8Array, from: number, state: number, found: (begin: number, end: number) => void): number {
    const { classes, step, way, tables, hit } = this.#trie;
    let at = state;
    for (let index = from; index < bytes.length; index += 1) {
      const label = classes[bytes[index] ?? 0] ?? 0;
      let on = way[at] ?? 0;
      while (on >= 0 && step[at] !== label) {
        at = on;
        on = way[at] ?? 0;
      }
      at = on < 0 ? (tables[~on + label] ?? 0) : at + 1;
      if (at === 0) continue;
      const length = hit[at] ?? 0;
      if (length > 0) found(index + 1 - length, index + 1);
    }
    return at;
  }

  /** How many of the last bytes may be the begin of a needle. */
  pending(state: number): number {
    return this.#trie.depth[state] ?? 0;
  }
}
