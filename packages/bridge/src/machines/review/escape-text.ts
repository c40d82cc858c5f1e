// C0 but tab and newline, DEL, C1, separators, and everything that hides or turns text around.
const UNSAFE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** Whether a text has characters that turn its direction or hide some of it. */
export function hasHiddenText(text: string): boolean {
  return /[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069]|[\u{e0000}-\u{e007f}]/u.test(
    text,
  );
}

/** Text from a machine as a person may see it: every character that could steer a terminal or hide is spelled out. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** A name from a machine on one line. */
export function escapeName(name: string): string {
  return escapeText(name.replaceAll("\n", "\\x0a").replaceAll("\t", "\\x09"));
}
