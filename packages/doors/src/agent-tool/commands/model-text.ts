/** ECMA-48 sequences: CSI, strings (OSC, DCS, SOS, PM, APC) up to their terminator, and the short escapes. */
const SEQUENCE =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]*[0-Z\\`-~]/g;
/** The start of a sequence whose end has not come yet, at the end of a text. */
const UNFINISHED =
  /(?:\u001b|(?:\u001b\[|\u009b)[0-?]*[ -/]*|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]*\u001b?|\u001b[ -/]+)$/;
/** Control characters that are left, but for tab and line feed. */

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
/** Longest start of a sequence that is held back for its end; a longer one is no sequence that anybody means. */
const LONGEST_HELD = 4096;

/**
 * Makes text for a model from the bytes of one output stream, piece by piece: UTF-8 and escape sequences may be split
 * between pieces, what is no UTF-8 becomes U+FFFD, escape sequences and control characters go, and line ends are line feeds.
 */
export class ModelText {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #held = "";

  /** Takes the next bytes and gives the text that is certain by now. */
  push(bytes: Uint8Array): string {
    return this.#take(this.#decoder.decode(bytes, { stream: true }), false);
  }

  /** Gives what is left at the end. */
  end(): string {
    return this.#take(this.#decoder.decode(), true);
  }

  #take(decoded: string, last: boolean): string {
    const text = this.#held + decoded;
    const held = last ? 0 : heldBack(text);
    this.#held = text.slice(text.length - held);
    return plain(text.slice(0, text.length - held));
  }
}

/** Text without escape sequences and control characters, for a model. */
export function plain(text: string): string {
  return text.replaceAll(SEQUENCE, "").replaceAll(/\r\n?/g, "\n").replaceAll(CONTROLS, "");
}

function heldBack(text: string): number {
  if (text.endsWith("\r")) return 1;
  const tail = text.slice(-LONGEST_HELD);
  const start = UNFINISHED.exec(tail)?.index;
  return start === undefined ? 0 : tail.length - start;
}
