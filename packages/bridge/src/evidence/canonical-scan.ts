const [quote, backslash, comma, colon, minus] = [0x22, 0x5c, 0x2c, 0x3a, 0x2d];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
const [zero, nine, del] = [0x30, 0x39, 0x7f];
const maxDepth = 64;
const maxDigits = 15;

/** For each open object the place of its last key in the text; 0 before the first, and inside arrays. */
const lastKey = new Int32Array(maxDepth);
const isObject = new Uint8Array(maxDepth);

/**
 * The quick way to see that a JSON text is canonical (RFC 8785): one pass over its bytes, without building anything.
 * The text must be JSON. True means canonical: no space between tokens, keys in strictly ascending order, no escapes,
 * only integers. False says nothing (escapes, fractions, keys that are not ASCII): then the slow way decides.
 */
export function isPlainlyCanonical(text: Uint8Array): boolean {
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const byte = text[at] ?? 0;
    if (byte === quote) {
      const end = stringEnd(text, at + 1);
      if (end < 0) return false;
      if (text[end + 1] === colon && isObject[depth] === 1 && !isNextKey(text, at + 1, end, depth))
        return false;
      at = end + 1;
    } else if (byte === openBrace || byte === openBracket) {
      if (++depth === maxDepth) return false;
      lastKey[depth] = 0;
      isObject[depth] = byte === openBrace ? 1 : 0;
      at++;
    } else if (byte === closeBrace || byte === closeBracket) {
      depth--;
      at++;
    } else if (byte === comma || byte === colon || (byte >= 0x61 && byte <= 0x7a)) {
      at++; // true, false and null are the only bare words of JSON
    } else {
      at = integerEnd(text, at);
      if (at < 0) return false;
    }
  }
  return true;
}

/** Where a string without escapes ends; -1 when it has one. */
function stringEnd(text: Uint8Array, from: number): number {
  let at = from;
  while (at < text.length) {
    const byte = text[at];
    if (byte === quote) return at;
    if (byte === backslash) return -1;
    at++;
  }
  return -1;
}

/** Whether the key between two places is ASCII and behind the one in front of it in its object. */
function isNextKey(text: Uint8Array, start: number, end: number, depth: number): boolean {
  const previous = lastKey[depth] ?? 0;
  lastKey[depth] = start;
  for (let at = start; at < end; at++) if ((text[at] ?? del) >= del) return false;
  if (previous === 0) return true;
  // the closing quote is no character of a key: a key that ends there is the shorter one
  for (let at = 0; ; at++) {
    const [before, now] = [text[previous + at] ?? 0, text[start + at] ?? 0];
    if (now === quote) return false;
    if (before === quote) return true;
    if (before !== now) return before < now;
  }
}

/** Where an integer as JSON.stringify writes it ends; -1 for any other number, or when there is none. */
function integerEnd(text: Uint8Array, from: number): number {
  const start = text[from] === minus ? from + 1 : from;
  let at = start;
  while (at < text.length && (text[at] ?? 0) >= zero && (text[at] ?? 0) <= nine) at++;
  const digits = at - start;
  const isPlain =
    digits > 0 && digits <= maxDigits && (text[start] !== zero || (digits === 1 && start === from));
  const next = text[at];
  const ends = next === comma || next === closeBrace || next === closeBracket || next === undefined;
  return isPlain && ends ? at : -1;
}
