import { ByteSink } from "./byte-sink.ts";
import { ScreenState } from "./screen-state.ts";
import { judgeCsi, judgeEscape, judgeOsc, type CsiSequence, type Verdict } from "./sequence-rules.ts";
import { utf8Lead } from "./utf8-check.ts";

const ESC = 0x1b;
const BEL = 0x07;
const CANCELS: ReadonlySet<number> = new Set([0x18, 0x1a]);
/** Controls that only move the cursor, ring, or switch character sets. ENQ (asks for the answerback) is not among them. */
const CONTROLS: ReadonlySet<number> = new Set([0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f]);
const REPLACEMENT = Uint8Array.of(0xef, 0xbf, 0xbd);
/** Introducers of strings that are dropped whole: DCS, SOS, PM, APC, and the title of screen and tmux. */
const DROPPED_STRINGS: ReadonlySet<number> = new Set([0x50, 0x58, 0x5e, 0x5f, 0x6b]);

const MAX_CSI = 160;
const MAX_OSC = 4096;
const MAX_INTERMEDIATES = 2;
/** After so many bytes a string that never ends is given up, and what follows is text again. */
const MAX_STRING = 1_048_576;

const PLAIN = new Uint8Array(256);
for (let byte = 0x20; byte < 0x7f; byte += 1) PLAIN[byte] = 1;
for (const byte of CONTROLS) PLAIN[byte] = 1;

type State = "ground" | "utf8" | "escape" | "csi" | "csi-ignore" | "osc" | "osc-ignore" | "string";

/** What a filter tells beside its output. */
export interface SequenceFilterOptions {
  /** Whether answers of the terminal reach the program: questions pass or are answered; else they are dropped. */
  readonly answers?: boolean;
  /** Takes answers that are given here instead of asking the terminal. */
  readonly answer?: (text: string) => void;
}

/**
 * Lets through what draws, and drops what reaches beyond the screen: clipboard, titles, files, notifications, printers,
 * reports that echo what a program chose. Sequences are parsed as a VT500 does, re-written canonically, and nothing of
 * a sequence is shown before it is complete, so the output does not depend on how the input is cut. State is bounded.
 */
export class SequenceFilter {
  readonly screen = new ScreenState();
  /** See {@link SequenceFilterOptions.answers}; off while old output is replayed. */
  answers: boolean;
  /** Questions that were passed to the terminal. */
  asked = 0;
  readonly #answer: (text: string) => void;
  #state: State = "ground";
  #out = new ByteSink(0);
  #text = "";
  #length = 0;
  #pending: number[] = [];
  #more = 0;
  #low = 0x80;
  #high = 0xbf;

  constructor(options: SequenceFilterOptions = {}) {
    this.answers = options.answers ?? false;
    this.#answer = options.answer ?? (() => undefined);
  }

  /** Filters the next bytes. */
  push(bytes: Uint8Array): Uint8Array {
    this.#out = new ByteSink(bytes.length + 64);
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "ground") {
        const end = plainRun(bytes, at);
        if (end > at) this.#out.bytes(bytes.subarray(at, end));
        at = end;
      }
      const byte = bytes[at];
      if (byte !== undefined) this.#step(byte);
      at += 1;
    }
    return this.#out.take();
  }

  #step(byte: number): void {
    switch (this.#state) {
      case "ground": {
        this.#ground(byte);
        return;
      }
      case "utf8": {
        this.#utf8(byte);
        return;
      }
      case "escape": {
        this.#escape(byte);
        return;
      }
      case "csi":
      case "csi-ignore": {
        this.#csi(byte);
        return;
      }
      case "osc":
      case "osc-ignore":
      case "string": {
        this.#string(byte);
        return;
      }
    }
  }

  #ground(byte: number): void {
    if (byte === ESC) {
      this.#enter("escape");
      return;
    }
    if (byte < 0x80) {
      if (PLAIN[byte] === 1) this.#out.byte(byte);
      return;
    }
    const lead = utf8Lead(byte);
    if (lead === undefined) {
      this.#out.bytes(REPLACEMENT);
      return;
    }
    this.#state = "utf8";
    this.#pending = [byte];
    this.#more = lead.more;
    this.#low = lead.low;
    this.#high = lead.high;
  }

  #utf8(byte: number): void {
    if (byte < this.#low || byte > this.#high) {
      this.#out.bytes(REPLACEMENT);
      this.#state = "ground";
      this.#step(byte);
      return;
    }
    this.#pending.push(byte);
    this.#low = 0x80;
    this.#high = 0xbf;
    this.#more -= 1;
    if (this.#more > 0) return;
    this.#state = "ground";
    if (this.#pending[0] === 0xc2 && byte < 0xa0) {
      this.#eightBitControl(byte);
      return;
    }
    for (const each of this.#pending) this.#out.byte(each);
  }

  /** U+0080 to U+009F are controls to many terminals: the same as ESC and a letter. */
  #eightBitControl(byte: number): void {
    this.#enter("escape");
    this.#escape(byte - 0x40);
  }

  #escape(byte: number): void {
    if (this.#interrupts(byte)) return;
    if (byte >= 0x20 && byte < 0x30) {
      this.#gather(byte, MAX_INTERMEDIATES + 1);
      return;
    }
    if (this.#text === "") {
      if (byte === 0x5b) {
        this.#enter("csi");
        return;
      }
      if (byte === 0x5d) {
        this.#enter("osc");
        return;
      }
      if (DROPPED_STRINGS.has(byte)) {
        this.#enter("string");
        return;
      }
    }
    this.#state = "ground";
    const final = String.fromCharCode(byte);
    if (byte >= 0x7f || this.#text.length > MAX_INTERMEDIATES) return;
    const verdict = judgeEscape(this.#text, final);
    if (this.#emit(verdict)) this.screen.escape(this.#text, final);
  }

  #csi(byte: number): void {
    if (this.#interrupts(byte)) return;
    if (byte < 0x40) {
      if (this.#length >= MAX_CSI) this.#state = "csi-ignore";
      this.#gather(byte, MAX_CSI);
      return;
    }
    const ignored = this.#state === "csi-ignore";
    this.#state = "ground";
    if (byte === 0x7f || ignored) return;
    const parts = /^([<=>?]?)([0-9;:]*)([ -/]{0,2})$/.exec(this.#text);
    if (parts === null) return;
    const [, prefix = "", params = "", intermediates = ""] = parts;
    this.#judge({ prefix, params, intermediates, final: String.fromCharCode(byte) });
  }

  #judge(sequence: CsiSequence): void {
    const verdict = judgeCsi(sequence);
    if (!this.#emit(verdict) || verdict.kind !== "pass") return;
    const params = sequence.prefix === "?" ? verdict.text.slice(3, -1) : sequence.params;
    this.screen.csi({ ...sequence, params });
  }

  #string(byte: number): void {
    if (byte === ESC) {
      this.#endString(() => this.#enter("escape"));
      return;
    }
    if (byte === BEL && this.#state !== "string") {
      this.#endString(() => (this.#state = "ground"));
      return;
    }
    if (CANCELS.has(byte) || this.#length >= MAX_STRING) {
      this.#text = "";
      this.#state = "ground";
      return;
    }
    this.#length += 1;
    if (this.#state !== "osc") return;
    if (this.#length > MAX_OSC) this.#state = "osc-ignore";
    else this.#text += String.fromCharCode(byte);
  }

  /** A command counts when BEL or ESC ends it; the backslash after ESC draws nothing by itself. */
  #endString(next: () => void): void {
    const body = this.#state === "osc" ? this.#text : "";
    next();
    const verdict = judgeOsc(body);
    if (this.#emit(verdict)) this.screen.link(!body.endsWith(";"));
  }

  /** Control characters inside a sequence act at once, as they do in a terminal. True when the byte was dealt with. */
  #interrupts(byte: number): boolean {
    if (byte === ESC) this.#enter("escape");
    else if (CANCELS.has(byte)) this.#state = "ground";
    else if (byte >= 0x80) {
      this.#state = "ground";
      this.#ground(byte);
    } else if (byte < 0x20) {
      if (CONTROLS.has(byte)) this.#out.byte(byte);
    } else return false;
    return true;
  }

  #gather(byte: number, limit: number): void {
    this.#length += 1;
    if (this.#text.length < limit) this.#text += String.fromCharCode(byte);
  }

  #enter(state: State): void {
    this.#state = state;
    this.#text = "";
    this.#length = 0;
  }

  /** Carries a verdict out; true when the sequence went to the terminal. */
  #emit(verdict: Verdict): boolean {
    if (verdict.kind === "answer" && this.answers) this.#answer(verdict.text);
    const shown = verdict.kind === "pass" || (verdict.kind === "query" && this.answers);
    if (shown) this.#out.ascii(verdict.text);
    if (shown && verdict.kind === "query") this.asked += 1;
    return shown;
  }
}

function plainRun(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && PLAIN[bytes[at] ?? 0] === 1) at += 1;
  return at;
}
