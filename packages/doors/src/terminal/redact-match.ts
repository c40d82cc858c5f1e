import { CLASSES_OF, RUN } from "./redact-classes.ts";
import type { RedactionRule } from "./redact-rules.ts";
import type { RedactionWindow } from "./redact-window.ts";

const MAX_SEPARATORS = 32;
const MAX_USERINFO = 512;
/** A user name of this length without a password is a token. */
const TOKEN_AS_USER = 20;

const COLON = 0x3a;
const EQUALS = 0x3d;
const AT = 0x40;
const BACKSLASH = 0x5c;

/**
 * What may become something to hide: a rule whose literal was found, followed over the text behind it. Nothing is hidden
 * before it is certain; from then on every further byte at once.
 */
export class RuleMatch {
  readonly rule: RedactionRule;
  readonly #window: RedactionWindow;
  readonly #mark: number;
  /** Positions of text that is hidden once it is certain: begins and ends in turn. */
  #ranges: number[] = [];
  #certain = false;
  #phase: "separator" | "run" | "userinfo";
  #count = 0;
  #separated: boolean;
  #quote: { readonly byte: number; readonly escaped: boolean } | undefined;
  #before = 0;
  /** Whether what followed ended the match. */
  over = false;
  #password = false;

  constructor(rule: RedactionRule, window: RedactionWindow, mark: number) {
    this.rule = rule;
    this.#window = window;
    this.#mark = mark;
    this.#phase = rule.match === "key" ? "separator" : rule.match === "url" ? "userinfo" : "run";
    this.#separated = false;
  }

  /** Position of the first byte that has to wait; undefined when none does. */
  get waitsFrom(): number | undefined {
    return this.#certain ? undefined : this.#ranges[0];
  }

  /** Adds text that belongs to the match, e.g. its literal. */
  add(position: number): void {
    if (this.#certain) this.#window.mark(position, this.#mark);
    else if (this.#ranges.at(-1) === position) this.#ranges[this.#ranges.length - 1] = position + 1;
    else this.#ranges.push(position, position + 1);
  }

  /** Hides what waits, certain or not. */
  hide(): void {
    for (let at = 0; at < this.#ranges.length; at += 2)
      this.#window.markRange(this.#ranges[at] ?? 0, this.#ranges[at + 1] ?? 0, this.#mark);
    this.#ranges = [];
    this.#certain = this.#phase !== "userinfo";
  }

  /** The next byte of text; answers whether the match goes on. */
  step(byte: number, position: number): boolean {
    const goesOn = this.#step(byte, position);
    this.#before = byte;
    this.over = !goesOn;
    return goesOn;
  }

  #step(byte: number, position: number): boolean {
    if (this.#phase === "userinfo") return this.#userinfo(byte, position);
    if (this.#phase === "separator") {
      if (this.#separates(byte)) return true;
      if (!this.#separated) return false;
      this.#phase = "run";
      this.#count = 0;
    }
    if (!this.#belongs(byte)) return false;
    this.add(position);
    this.#count += 1;
    if (this.#count === this.rule.minLength) this.hide();
    return true;
  }

  #separates(byte: number): boolean {
    if (((CLASSES_OF[byte] ?? 0) & RUN.separator) === 0) return false;
    this.#count += 1;
    if (this.#count > MAX_SEPARATORS) return false;
    const space = byte === 0x20 || byte === 0x09;
    if (byte === COLON || byte === EQUALS || (space && this.rule.spaced)) this.#separated = true;
    else if (!space && byte !== BACKSLASH && byte !== 0x3e && this.#separated && this.rule.quoted)
      this.#quote = { byte, escaped: this.#before === BACKSLASH };
    return true;
  }

  #belongs(byte: number): boolean {
    if (this.#quote === undefined) return ((CLASSES_OF[byte] ?? 0) & RUN[this.rule.run]) !== 0;
    if (byte === this.#quote.byte) return (this.#before === BACKSLASH) !== this.#quote.escaped;
    return ((CLASSES_OF[byte] ?? 0) & RUN.line) !== 0;
  }

  /** A user and a password before an @; a second @ belongs to the password. */
  #userinfo(byte: number, position: number): boolean {
    if (((CLASSES_OF[byte] ?? 0) & RUN.userinfo) === 0) return false;
    if (byte === AT && (this.#password || this.#count >= TOKEN_AS_USER)) {
      this.hide();
      this.#password = true;
    }
    this.#count += 1;
    if (byte === COLON && !this.#password) {
      this.#password = true;
      this.#ranges = [];
    } else if (byte !== AT || this.#ranges.length > 0) this.add(position);
    if (this.#count === MAX_USERINFO) {
      this.hide();
      this.#certain = true;
    }
    return true;
  }
}
