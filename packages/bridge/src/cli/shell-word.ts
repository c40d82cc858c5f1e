/** Characters that no shell gives a meaning to. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/** Text as one word of a shell's command line. */
export function shellWord(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
