const ESC = 0x1b;
const BEL = 0x07;
const MAX_STRING = 1_048_576;
const MAX_PARAMETER = 10_000;

/** What a byte is to a terminal: part of the text, part of a sequence that draws, or of a string that draws nothing. */
export type ByteKind = "text" | "sequence" | "string";

/** What follows a complete CSI sequence: its final byte and first two parameters, 0 where they are left out. */
export interface CsiEnd {
  readonly final: number;
  readonly first: number;
  readonly second: number;
}

/**
 * Follows escape sequences as a VT500 does. Strings (titles, clipboard, links, images) are told apart, because nobody
 * could redact what they carry.
 */
export class SequenceTracker {
  #state: "escape" | "intermediate" | "csi" | "osc" | "string" = "escape";
  #length = 0;
  #parameters: [number, number] = [0, 0];
  #index = 0;
  /** Whether the next byte is text again. */
  ground = true;
  /** Whether the last byte was ESC alone, which the next one may turn into a string. */
  undecided = false;
  /** The CSI sequence that the last byte ended. */
  csi: CsiEnd | undefined;

  /** Begins at an ESC. */
  begin(): void {
    this.#state = "escape";
    this.ground = false;
    this.undecided = true;
  }

  /** Begins behind a control of U+0080 to U+009F, which is ESC and a letter in one. */
  beginWith(letter: number): ByteKind {
    this.begin();
    return this.step(letter);
  }

  /** The next byte while not on ground. "text": the sequence is over, and the byte is not part of it. */
  step(byte: number): ByteKind {
    this.csi = undefined;
    this.undecided = false;
    if (this.#state === "osc" || this.#state === "string") return this.#string(byte);
    if (byte === ESC) return this.#restart();
    if (byte === 0x18 || byte === 0x1a) return this.#end();
    if (byte < 0x20 || byte === 0x7f) return "sequence";
    if (byte >= 0x80) {
      this.ground = true;
      return "text";
    }
    return this.#state === "csi" ? this.#csi(byte) : this.#escape(byte);
  }

  #escape(byte: number): ByteKind {
    if (byte < 0x30) {
      this.#state = "intermediate";
      return "sequence";
    }
    if (this.#state === "escape") {
      if (byte === 0x5b) return this.#enter("csi");
      if (byte === 0x5d) return this.#enter("osc");
      if (byte === 0x50 || byte === 0x58 || byte === 0x5e || byte === 0x5f || byte === 0x6b)
        return this.#enter("string");
    }
    return this.#end();
  }

  #enter(state: "csi" | "osc" | "string"): ByteKind {
    this.#state = state;
    this.#length = 0;
    this.#parameters = [0, 0];
    this.#index = 0;
    return state === "csi" ? "sequence" : "string";
  }

  #csi(byte: number): ByteKind {
    if (byte >= 0x30 && byte <= 0x39 && this.#index < 2) {
      const value = (this.#parameters[this.#index] ?? 0) * 10 + byte - 0x30;
      this.#parameters[this.#index] = Math.min(value, MAX_PARAMETER);
    } else if (byte === 0x3b) this.#index += 1;
    if (byte < 0x40) return "sequence";
    this.csi = { final: byte, first: this.#parameters[0], second: this.#parameters[1] };
    return this.#end();
  }

  #string(byte: number): ByteKind {
    if (byte === ESC) return this.#restart();
    if (byte === 0x18 || byte === 0x1a || (byte === BEL && this.#state === "osc")) {
      this.ground = true;
      return "string";
    }
    this.#length += 1;
    if (this.#length > MAX_STRING) this.ground = true;
    return "string";
  }

  #restart(): ByteKind {
    this.begin();
    return "sequence";
  }

  #end(): ByteKind {
    this.ground = true;
    return "sequence";
  }
}
