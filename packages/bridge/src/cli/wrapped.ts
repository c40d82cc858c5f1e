/** Narrower than this, text is left to the terminal. */
const NARROWEST = 30;

/**
 * Words in lines of a width, the first behind what stands there already and the others behind spaces; a word that is longer
 * stands whole, so that it can be copied.
 */
export function wrapped(text: string, indent: number, width: number): string {
  const room = width - indent;
  if (room < NARROWEST || text.length <= room) return text;
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1) ?? "";
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= room) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}
