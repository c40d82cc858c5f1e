import { isUtf8 } from "node:buffer";
import { TextDecoder } from "node:util";
import { DoorwardError } from "@doorward/contracts";

/** How text files are encoded that tools read and change. */
export const ENCODINGS = ["utf-8", "utf-8-bom", "utf-16le", "utf-16be"] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Text of a file without its byte order mark, and how it was encoded. */
export interface TextFile {
  readonly text: string;
  readonly encoding: Encoding;
}

/** How much of a file's start tells whether it is text. */
const SNIFFED_BYTES = 8192;

const MARKS: readonly { readonly encoding: Encoding; readonly bytes: Buffer }[] = [
  { encoding: "utf-8-bom", bytes: Buffer.from([0xef, 0xbb, 0xbf]) },
  { encoding: "utf-16le", bytes: Buffer.from([0xff, 0xfe]) },
  { encoding: "utf-16be", bytes: Buffer.from([0xfe, 0xff]) },
];

/** Encoding of a file by its first bytes; a NUL makes it binary unless its mark says UTF-16. */
export function sniffEncoding(head: Buffer): Encoding | "binary" {
  const mark = MARKS.find(({ bytes }) => head.subarray(0, bytes.length).equals(bytes));
  if (mark !== undefined) return mark.encoding;
  return head.subarray(0, SNIFFED_BYTES).includes(0) ? "binary" : "utf-8";
}

/** A decoder for parts of a text file in order; it drops the mark and replaces what is invalid. */
export function textDecoder(encoding: Encoding): TextDecoder {
  return new TextDecoder(encoding === "utf-8-bom" ? "utf-8" : encoding);
}

/** Text of a whole file that can be written back byte for byte; refuses binary files and other encodings. */
export function decodeText(path: string, bytes: Buffer): TextFile {
  const encoding = sniffEncoding(bytes);
  if (encoding === "binary") throw notText(path, "it is a binary file");
  if (encoding.startsWith("utf-8") && !isUtf8(bytes)) throw notText(path, "it is not valid UTF-8");
  const file: TextFile = { text: textDecoder(encoding).decode(bytes), encoding };
  if (!encodeText(file).equals(bytes)) throw notText(path, `it is not valid ${encoding}`);
  return file;
}

/** Bytes of a text file. */
export function encodeText({ text, encoding }: TextFile): Buffer {
  const mark = MARKS.find((each) => each.encoding === encoding)?.bytes ?? Buffer.alloc(0);
  const body = Buffer.from(text, encoding.startsWith("utf-16") ? "utf16le" : "utf8");
  return Buffer.concat([mark, encoding === "utf-16be" ? body.swap16() : body]);
}

/** Refuses text that has no form in UTF-8, which would be written as something else. */
export function requireWellFormed(what: string, text: string): void {
  if (!/\p{Surrogate}/u.test(text)) return;
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot write ${what}: it has half of a surrogate pair`,
    hint: "Send whole Unicode characters",
  });
}

function notText(path: string, why: string): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot change "${path}" as text: ${why}`,
    hint: "Change it with a program through run_command, e.g. python3, or replace it with write_file",
  });
}
