import { DoorwardError } from "@doorward/contracts";
import type { FileContent, FileStat, GuestFiles } from "@doorward/guest";
import * as z from "zod";
import { defineTool, type ToolAnswer, type ToolCall } from "../tool.ts";
import { IMAGE_BYTES, imageType } from "./image.ts";
import { pathInput } from "./inputs.ts";
import { LineWindow, numbered } from "./line-window.ts";
import { requireFile } from "./machine-path.ts";
import { ENCODINGS, sniffEncoding, textDecoder, type Encoding } from "./text-file.ts";

/** Lines that are read when the call does not say. */
export const READ_LINES = 2000;
/** Most lines that a call may ask for. */
const READ_LINES_MAX = 20_000;
/** Most bytes of text in one answer. */
export const READ_BYTES = 262_144;
/** Most characters of one line. */
export const READ_LINE_CHARS = 2000;
/** Files up to this size are read whole, with a digest; larger ones in parts of this size. */
export const WHOLE_BYTES = 1_048_576;
/** How far a large file is looked through for the wanted lines. */
const SCAN_BYTES = 268_435_456;

const Input = z.strictObject({
  path: pathInput("File to read"),
  offset_line: z.int().min(1).optional().describe("First line to read, from 1; 1 when absent"),
  limit_lines: z
    .int()
    .min(1)
    .max(READ_LINES_MAX)
    .optional()
    .describe(`Most lines to read; ${READ_LINES} when absent`),
});

const Output = z.strictObject({
  path: z.string().describe("Absolute path, links resolved"),
  kind: z.enum(["text", "image", "binary"]).describe("What the file is"),
  content: z.string().describe("The lines, without numbers; empty for what is not text"),
  start_line: z.int().describe("Number of the first line in content; 0 where there is none"),
  end_line: z.int().describe("Number of the last line in content; 0 where there is none"),
  total_lines: z.int().nullable().describe("Lines of the whole file; null when it was not read to its end"),
  size: z.int().describe("Bytes of the whole file"),
  digest: z.string().nullable().describe("Digest of the whole file; null for large files"),
  encoding: z.enum(ENCODINGS).nullable().describe("Encoding of the text; null for what is not text"),
  cut_lines: z.array(z.int()).describe("Numbers of lines that are too long and were cut"),
  truncated: z.boolean().describe("Whether lines follow that were not read"),
  next_offset: z.int().nullable().describe("offset_line for the lines that follow; null at the end"),
});

type Answer = ToolAnswer<z.input<typeof Output>>;
type Shown = Pick<z.input<typeof Output>, "path" | "size" | "digest">;

/** Reads a file of the machine: text by lines, pictures as pictures. */
export const readFile = defineTool({
  name: "read_file",
  title: "Read a file",
  description:
    `Reads a text file, up to ${READ_LINES} lines a call, each after its number and a tab (the numbers are not part of the file). ` +
    "Pages with offset_line and limit_lines. Shows PNG, JPEG, GIF and WebP as pictures; says type and size of other binary files. " +
    "Read a file before you edit it.",
  input: Input,
  output: Output,
  hints: { idempotent: true, destructive: false },
  call: async (input, call) => {
    const files = await call.session.files(call.signal);
    const first = await readFirst(files, input.path, call);
    const path = first.path ?? (await requireFile(files, input.path, call)).path;
    const shown = { path, size: first.size, digest: first.digest };
    const image = imageType(first.bytes);
    if (image !== null) return await imageAnswer(image, shown, files, call);
    const encoding = sniffEncoding(first.bytes);
    if (encoding === "binary") return binaryAnswer(shown, "a binary file");
    return await textAnswer(input, { files, first, encoding, shown, call });
  },
});

/** The file's beginning, in one question; what can't be read is looked at for what to do about it. */
async function readFirst(files: GuestFiles, path: string, call: ToolCall): Promise<FileContent> {
  try {
    return await files.read(path, { offset: 0, length: WHOLE_BYTES }, call.signal);
  } catch (error) {
    if (!call.signal.aborted) await requireFile(files, path, call);
    throw error;
  }
}

async function imageAnswer(
  mimeType: string,
  shown: Shown,
  files: GuestFiles,
  call: ToolCall,
): Promise<Answer> {
  if (shown.size > IMAGE_BYTES)
    return binaryAnswer(shown, `a picture (${mimeType}) that is too large to show`);
  const { bytes, digest } = await files.read(shown.path, { offset: 0, length: IMAGE_BYTES }, call.signal);
  return {
    structured: { ...notText(shown), kind: "image", digest },
    text: `Read ${shown.path}: a picture (${mimeType}, ${shown.size} bytes)`,
    images: [{ mimeType, base64: bytes.toString("base64") }],
    files: [shown.path],
    target: shown.path,
  };
}

function binaryAnswer(shown: Shown, what: string): Answer {
  return {
    structured: notText(shown),
    text: `${shown.path} is ${what} of ${shown.size} bytes; its content is not shown. Look at it with a program through run_command, e.g. file or xxd.`,
    files: [shown.path],
    target: shown.path,
  };
}

function notText(shown: Shown): z.input<typeof Output> {
  return {
    ...shown,
    kind: "binary",
    content: "",
    start_line: 0,
    end_line: 0,
    total_lines: null,
    encoding: null,
    cut_lines: [],
    truncated: false,
    next_offset: null,
  };
}

interface Source {
  readonly files: GuestFiles;
  readonly first: FileContent;
  readonly encoding: Encoding;
  readonly shown: Shown & Pick<FileStat, "path">;
  readonly call: ToolCall;
}

async function textAnswer(input: z.output<typeof Input>, source: Source): Promise<Answer> {
  const from = input.offset_line ?? 1;
  const window = new LineWindow({
    from,
    lines: input.limit_lines ?? READ_LINES,
    bytes: READ_BYTES,
    lineChars: READ_LINE_CHARS,
  });
  const whole = await fill(window, source);
  const unfinished = whole && window.end();
  if (from > Math.max(1, window.total)) throw beyond(input.path, from, window.total);
  const lines = window.lines;
  const last = from + lines.length - 1;
  const newline = lines.length > 0 && (window.full || !unfinished) ? "\n" : "";
  const structured: z.input<typeof Output> = {
    ...source.shown,
    kind: "text",
    content: lines.join("\n") + newline,
    start_line: lines.length === 0 ? 0 : from,
    end_line: lines.length === 0 ? 0 : last,
    total_lines: whole ? window.total : null,
    encoding: source.encoding,
    cut_lines: [...window.cut],
    truncated: window.full,
    next_offset: window.full ? last + 1 : null,
  };
  return {
    structured,
    text: textOf(structured, lines),
    files: [source.shown.path],
    target: source.shown.path,
  };
}

/** Fills the window from the file; answers whether the file was read to its end. */
async function fill(window: LineWindow, { files, first, encoding, shown, call }: Source): Promise<boolean> {
  const decoder = textDecoder(encoding);
  let part = first.bytes;
  let offset = part.length;
  const small = first.size <= WHOLE_BYTES;
  while (part.length > 0) {
    window.push(decoder.decode(part, { stream: true }));
    if (offset >= first.size || (window.full && !small)) break;
    if (offset >= SCAN_BYTES) throw tooFar(shown.path);
    ({ bytes: part } = await files.read(shown.path, { offset, length: WHOLE_BYTES }, call.signal));
    offset += part.length;
    call.progress(`read ${offset} of ${first.size} bytes`);
  }
  window.push(decoder.decode());
  return small || !window.full;
}

function textOf(answer: z.input<typeof Output>, lines: readonly string[]): string {
  const { path, size, start_line, end_line, total_lines, digest, encoding, next_offset } = answer;
  const about = [`${size} bytes`, encoding, lineEnds(lines), digest].filter((each) => each !== null);
  if (lines.length === 0) return `Read ${path}: it is empty (${about.join(", ")})`;
  const head = `Read ${path}: lines ${start_line}-${end_line} of ${total_lines ?? "more"} (${about.join(", ")})`;
  const invalid = answer.content.includes("\uFFFD")
    ? "\n[Some bytes are not valid text and show as \uFFFD.]"
    : "";
  const more =
    next_offset === null ? "" : `\n[More lines follow: call read_file with offset_line ${next_offset}.]`;
  return `${head}\n${numbered(lines, start_line)}${invalid}${more}`;
}

function lineEnds(lines: readonly string[]): string | null {
  const returns = lines.filter((line) => line.endsWith("\r")).length;
  if (returns === 0) return null;
  return returns >= lines.length - 1 ? "CRLF line ends" : "some CRLF line ends";
}

function beyond(path: string, from: number, total: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot read "${path}" from line ${from}: it has ${total} lines`,
    hint: `Call read_file with an offset_line up to ${Math.max(1, total)}`,
  });
}

function tooFar(path: string): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot read "${path}" at these lines: they are beyond its first ${SCAN_BYTES} bytes`,
    hint: "Look at it with a program through run_command, e.g. sed -n 'FROM,TOp' or tail, or call search_files",
  });
}
