/** A text with `\n` as its only line end, and the way back to the text as it was. */
export class LineEndMap {
  /** As it was. */
  readonly source: string;
  /** With every `\r\n` written as `\n`. */
  readonly text: string;
  /** Places in `text` of the line feeds that had a carriage return before them, ascending. */
  readonly #returns: number[] = [];

  constructor(source: string) {
    this.source = source;
    for (let at = source.indexOf("\r\n"); at !== -1; at = source.indexOf("\r\n", at + 2)) {
      this.#returns.push(at - this.#returns.length);
    }
    this.text = this.#returns.length === 0 ? source : source.replaceAll("\r\n", "\n");
  }

  /** Place in `source` of a place in `text`; of a line feed that was two characters, the first one. */
  original(at: number): number {
    return at + this.#before(at);
  }

  /** The line end of the line that a place is in; of the line before it in a last line without one. */
  lineEndNear(at: number): "\n" | "\r\n" {
    const next = this.text.indexOf("\n", at);
    const feed = next === -1 ? this.text.lastIndexOf("\n") : next;
    return feed !== -1 && this.#returns[this.#before(feed)] === feed ? "\r\n" : "\n";
  }

  /** How many of the marked places come before one. */
  #before(at: number): number {
    let low = 0;
    let high = this.#returns.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#returns[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
