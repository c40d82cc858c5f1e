import type { RedactionPattern } from "@doorward/contracts";
import { CLASSES_OF, RUN } from "./redact-classes.ts";
import { LiteralAutomaton } from "./redact-automaton.ts";
import { RuleMatch } from "./redact-match.ts";
import { redactionRules, type RedactionRule } from "./redact-rules.ts";
import { SequenceTracker, type CsiEnd } from "./redact-sequence.ts";
import { MARK, MOST_RULES, RedactionWindow } from "./redact-window.ts";

const ESC = 0x1b;
const SPACE = 0x20;
const BACKSPACE = 0x08;
const TAB = 0x09;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
/** First byte of U+0080 to U+00BF in UTF-8. */
const C1_LEAD = 0xc2;

/** Most bytes that wait for a decision; beyond it, what waits is hidden. */
const MAX_WAITING = 16_384;
/** Most text of a private key that never ends. */
const MAX_KEY = 32_768;
/** Most text that is hidden where output was lost, because the begin of it is not known. */
const MAX_TORN = 4096;

/** The rules of a door in the form that a redactor works with. */
export interface CompiledRules {
  readonly rules: readonly RedactionRule[];
  /** Mark of each rule. */
  readonly marks: readonly number[];
  readonly names: readonly string[];
  readonly literals: LiteralAutomaton;
}

const TORN_MARK = 1;

/** Compiles the built-in rules together with a door's own patterns. */
export function compileRules(patterns: readonly RedactionPattern[]): CompiledRules {
  const rules = redactionRules(patterns);
  const names = [...new Set(["cut", ...rules.map(({ name }) => name)])];
  if (names.length > MOST_RULES)
    throw new RangeError(`Cannot redact: ${String(names.length)} rules are too many`);
  const marks = rules.map(({ name }) => names.indexOf(name) + 1);
  return { rules, marks, names, literals: new LiteralAutomaton(rules.map(({ literal }) => literal)) };
}

/**
 * Takes secrets out of terminal output on its way, in time linear to its length. Rules see the text as a person does:
 * without escape sequences, and whole where the terminal wrapped it. Sequences that draw are kept, strings that draw
 * nothing are dropped.
 */
export class Redactor {
  readonly #rules: readonly RedactionRule[];
  readonly #marks: readonly number[];
  readonly #literals: LiteralAutomaton;
  readonly #window: RedactionWindow;
  readonly #sequence = new SequenceTracker();
  #matches: RuleMatch[] = [];
  #state = 0;
  /** Position of a byte that the next one decides about. */
  #limbo: number | undefined;
  #limboIs: "escape" | "c1" | "space" = "escape";
  #cols: number;
  #column = 0;
  /** Whether nothing but the terminal's wrapping lies between the last text and here. */
  #wrapped = false;
  #erased = false;
  /** Where a literal begins that may be ending; null when that has to be found anew. */
  #literalBegin: number | undefined | null = null;
  #key: { readonly mark: number; ending: boolean; left: number } | undefined;
  #torn = 0;

  constructor({ rules, marks, names, literals }: CompiledRules, cols: number) {
    this.#rules = rules;
    this.#marks = marks;
    this.#literals = literals;
    this.#window = new RedactionWindow(names);
    this.#cols = cols;
  }

  /** Columns of the terminal, which tell where it wraps. */
  set cols(cols: number) {
    this.#cols = cols;
  }

  /** Position behind everything that was pushed. */
  get end(): number {
    return this.#window.end;
  }

  /** Position behind everything that was taken. */
  get taken(): number {
    return this.#window.base;
  }

  /** Position up to which it is decided what is hidden. */
  get decided(): number {
    const waiting = [this.#limbo, this.#literalFrom(), ...this.#matches.map((match) => match.waitsFrom)];
    return Math.min(this.end, ...waiting.filter((position) => position !== undefined));
  }

  push(chunk: Uint8Array): void {
    const from = this.#window.end;
    this.#window.append(chunk);
    let index = 0;
    while (index < chunk.length) {
      index = this.#plain(chunk, index);
      if (index < chunk.length) this.#byte(chunk[index] ?? 0, from + index);
      index += 1;
    }
    if (this.end - this.taken > MAX_WAITING && this.end - this.decided > MAX_WAITING) this.#hideWaiting();
  }

  /** Takes what was decided, up to a position at most. The bytes are valid until more is pushed. */
  take(to: number): Buffer {
    return this.#window.take(to);
  }

  /** Output is missing here: what follows may be the rest of something, whose begin nobody saw. */
  tear(): void {
    this.finish();
    this.#torn = MAX_TORN;
    this.#wrapped = false;
  }

  /** Decides about everything; what may have become something is hidden. */
  finish(): void {
    this.#settle();
    for (const match of this.#matches) match.hide();
    this.#matches = [];
    this.#state = 0;
    this.#literalBegin = null;
    this.#sequence.ground = true;
  }

  /** Goes over text in which nothing has begun, which is most of it; answers where that ends. */
  #plain(chunk: Uint8Array, from: number): number {
    const busy = this.#matches.length > 0 || this.#torn > 0 || this.#key !== undefined || this.#erased;
    if (busy || !this.#sequence.ground || this.#limbo !== undefined) return from;
    const { next, classes, ends } = this.#literals;
    const stop = Math.min(chunk.length, from + this.#cols - this.#column);
    let state = this.#state;
    let index = from;
    for (; index < stop; index += 1) {
      const byte = chunk[index] ?? 0;
      if (byte < SPACE || byte > 0x7e) break;
      const to = next[state + (classes[byte] ?? 0)] ?? 0;
      if (ends[to] === 1) break;
      state = to;
    }
    if (index === from) return from;
    this.#state = state;
    this.#literalBegin = null;
    this.#column += index - from;
    this.#wrapped = false;
    return index;
  }

  #byte(byte: number, at: number): void {
    if (!this.#sequence.ground) this.#inSequence(byte, at);
    else if (this.#limbo !== undefined) this.#afterLimbo(byte, at);
    else if (byte < SPACE || byte === 0x7f || byte === C1_LEAD) this.#control(byte, at);
    else this.#printed(byte, at);
  }

  #printed(byte: number, at: number): void {
    if (this.#erased) {
      this.#erased = false;
      // backspace, space, backspace: how an editor takes a character back
      if (byte === SPACE) {
        this.#window.mark(at, MARK.sequence);
        return;
      }
    }
    if (this.#column >= this.#cols) {
      if (byte === SPACE) {
        this.#wait(at, "space");
        return;
      }
      this.#column = 0;
    }
    this.#wrapped = false;
    if ((byte & 0xc0) !== 0x80) this.#column += 1;
    this.#text(byte, at);
  }

  #control(byte: number, at: number): void {
    if (byte === ESC) {
      this.#sequence.begin();
      this.#wait(at, "escape");
    } else if (byte === C1_LEAD) this.#wait(at, "c1");
    else if (byte === RETURN || byte === LINE_FEED) this.#lineControl(byte, at);
    else if (byte === TAB) this.#text(byte, at);
    else {
      this.#erased = byte === BACKSPACE;
      if (this.#erased) this.#column = Math.max(0, this.#column - 1);
      this.#window.mark(at, MARK.sequence);
    }
  }

  /** A line break at the right edge is the terminal's, or was made for it; elsewhere it ends a line. */
  #lineControl(byte: number, at: number): void {
    this.#wrapped ||= this.#column >= this.#cols;
    if (byte === RETURN) this.#column = 0;
    if (this.#wrapped) this.#window.mark(at, MARK.sequence);
    else this.#text(byte, at);
    if (byte === LINE_FEED) this.#wrapped = false;
  }

  #inSequence(byte: number, at: number): void {
    const begin = this.#limbo;
    this.#limbo = undefined;
    const kind = this.#sequence.step(byte);
    if (begin !== undefined)
      if (kind === "string") this.#window.drop(begin);
      else this.#window.mark(begin, MARK.sequence);
    if (kind === "text") {
      this.#byte(byte, at);
      return;
    }
    if (this.#sequence.undecided) this.#wait(at, "escape");
    else this.#window.mark(at, kind === "string" ? MARK.dropped : MARK.sequence);
    if (this.#sequence.csi !== undefined) this.#moved(this.#sequence.csi);
  }

  #moved({ final, first, second }: CsiEnd): void {
    const count = Math.max(1, first);
    if (final === 0x47) this.#column = count - 1;
    else if (final === 0x48 || final === 0x66) this.#column = Math.max(1, second) - 1;
    else if (final === 0x43) this.#column = Math.min(this.#cols - 1, this.#column + count);
    else if (final === 0x44) this.#column = Math.max(0, this.#column - count);
    else return;
    this.#wrapped = false;
  }

  #wait(at: number, what: "escape" | "c1" | "space"): void {
    this.#limbo = at;
    this.#limboIs = what;
  }

  #afterLimbo(byte: number, at: number): void {
    const begin = this.#limbo ?? at;
    this.#limbo = undefined;
    if (this.#limboIs === "space" && byte === RETURN) {
      this.#window.mark(begin, MARK.sequence);
      this.#lineControl(byte, at);
      return;
    }
    if (this.#limboIs === "c1" && byte >= 0x80 && byte < 0xa0) {
      const kind = this.#sequence.beginWith(byte - 0x40);
      const mark = kind === "string" ? MARK.dropped : MARK.sequence;
      this.#window.mark(begin, mark);
      this.#window.mark(at, mark);
      this.#sequence.undecided = false;
      return;
    }
    this.#limboText(begin);
    this.#byte(byte, at);
  }

  #limboText(at: number): void {
    if (this.#limboIs === "escape") {
      this.#window.mark(at, MARK.sequence);
      return;
    }
    if (this.#column >= this.#cols) this.#column = 0;
    this.#column += 1;
    this.#wrapped = false;
    this.#text(this.#limboIs === "space" ? SPACE : C1_LEAD, at);
  }

  /** The next byte of text. */
  #text(byte: number, at: number): void {
    const { next, classes, ends } = this.#literals;
    if (this.#torn > 0) this.#tornText(byte, at);
    if (this.#matches.length > 0) this.#follow(byte, at);
    this.#state = next[this.#state + (classes[byte] ?? 0)] ?? 0;
    this.#literalBegin = null;
    if (this.#key !== undefined) this.#inKey(byte, at);
    if (ends[this.#state] === 1) this.#literalEnds(at);
  }

  #follow(byte: number, at: number): void {
    let ended = false;
    for (const match of this.#matches) ended = !match.step(byte, at) || ended;
    if (ended) this.#matches = this.#matches.filter((match) => !match.over);
  }

  #literalEnds(at: number): void {
    for (const index of this.#literals.found(this.#state)) {
      const rule = this.#rules[index];
      const mark = this.#marks[index];
      if (rule === undefined || mark === undefined) continue;
      if (rule.match === "begin") this.#keyLine(mark);
      else if (rule.match !== "end") this.#begin(rule, mark, at);
      else if (this.#key !== undefined) this.#key.ending = true;
    }
  }

  /** The words that the first and the last line of a private key have in common. */
  #keyLine(mark: number): void {
    if (this.#key === undefined) this.#key = { mark, ending: false, left: MAX_KEY };
    else if (this.#key.ending) this.#key = undefined;
  }

  /** An earlier match of the same rule covers all that a later one inside of it would. */
  #begin(rule: RedactionRule, mark: number, at: number): void {
    if (this.#matches.some((match) => match.rule === rule)) return;
    const literal = this.#literalText(rule.literal.length, at);
    if (rule.exact && literal.text !== rule.literal) return;
    if (rule.starts && literal.inWord) return;
    const match = new RuleMatch(rule, this.#window, mark);
    if (rule.match === "prefix") for (const position of literal.positions) match.add(position);
    this.#matches.push(match);
  }

  /** The last bytes of text up to a position, and whether they go on a word. */
  #literalText(length: number, at: number) {
    const bytes: number[] = [];
    const positions: number[] = [];
    this.#window.textBefore(at + 1, (byte, position) => {
      bytes.push(byte);
      positions.push(position);
      return bytes.length < length;
    });
    const before = this.#window.textAt((positions.at(-1) ?? at) - 1);
    const inWord = before !== undefined && ((CLASSES_OF[before] ?? 0) & RUN.token) !== 0;
    return { text: Buffer.from(bytes.reverse()).toString("latin1"), positions: positions.reverse(), inWord };
  }

  /** Where a literal begins that may be ending with what comes next. */
  #literalFrom(): number | undefined {
    const pending = this.#literals.pending(this.#state);
    if (this.#literalBegin === null)
      this.#literalBegin =
        pending === 0 ? undefined : this.#literalText(pending, (this.#limbo ?? this.end) - 1).positions[0];
    return this.#literalBegin;
  }

  /** The body of a private key, up to the line that ends it. */
  #inKey(byte: number, at: number): void {
    if (this.#key === undefined) return;
    this.#window.mark(at, this.#key.mark);
    this.#key.left -= 1;
    const lineEnds = this.#key.ending && (byte === LINE_FEED || byte === RETURN);
    if (lineEnds || this.#key.left === 0) this.#key = undefined;
  }

  #tornText(byte: number, at: number): void {
    this.#torn -= 1;
    if (((CLASSES_OF[byte] ?? 0) & RUN.word) === 0) this.#torn = 0;
    else this.#window.mark(at, TORN_MARK);
  }

  #settle(): void {
    const begin = this.#limbo;
    this.#limbo = undefined;
    if (begin !== undefined) this.#limboText(begin);
  }

  #hideWaiting(): void {
    this.#settle();
    const from = this.#literalFrom();
    if (from !== undefined) this.#window.markRange(from, this.end, TORN_MARK);
    this.#state = 0;
    this.#literalBegin = null;
    for (const match of this.#matches) match.hide();
  }
}
