/** Text from outside, made harmless for a terminal: control characters and direction marks are shown as escapes. */
export function escapeLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    if (code === 0x0a) return String.raw`\n`;
    if (code === 0x09) return String.raw`\t`;
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** The same for text of several lines: newlines and tabs stay. */
export function escapeText(text: string): string {
  return text.replace(/[^\n\t]+/g, escapeLine);
}
