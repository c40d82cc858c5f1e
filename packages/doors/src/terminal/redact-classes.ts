/** Classes of bytes that a run of a rule may have, as bits. */
export const RUN = {
  token: 1,
  base64: 2,
  hex: 4,
  digits: 8,
  word: 16,
  line: 32,
  /** base64url and full stops: a JSON Web Token. */
  dotted: 64,
  /** What may stand before the @ of a URL. */
  userinfo: 128,
  /** What may stand between a key and its value. */
  separator: 256,
  /** Everything but line breaks and quotes: the value of a header. */
  header: 512,
} as const;

/** A class of a run. */
export type RunClass = Exclude<keyof typeof RUN, "separator" | "userinfo">;

const SETS: readonly (readonly [keyof typeof RUN, RegExp])[] = [
  ["token", /[A-Za-z0-9_-]/],
  ["base64", /[A-Za-z0-9+/=_-]/],
  ["hex", /[A-Fa-f0-9]/],
  ["digits", /[0-9]/],
  ["word", /[^\s"'`]/],
  ["line", /[^\r\n]/],
  ["dotted", /[A-Za-z0-9_.-]/],
  ["userinfo", /[^\s/?#"'`<>]/],
  ["separator", /[ \t"'`\\=:>]/],
  ["header", /[^\r\n"'`]/],
];

/** The classes of every byte. Bytes of characters beyond ASCII are in those classes that say what they exclude. */
export const CLASSES_OF: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  const char = byte < 0x80 ? String.fromCharCode(byte) : "é";
  return SETS.reduce((bits, [name, set]) => (set.test(char) ? bits | RUN[name] : bits), 0);
});
