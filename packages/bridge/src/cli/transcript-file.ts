import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { DoorwardError, type TranscriptView } from "@doorward/contracts";
import * as z from "zod";

const Header = z.looseObject({
  version: z.literal(3),
  term: z.looseObject({ cols: z.int().min(1).max(10_000), rows: z.int().min(1).max(10_000) }),
});
const Event = z.tuple([z.number().min(0), z.string().min(1).max(1), z.string()]);

/** One event of a transcript: seconds since the one before, its code, and its data. */
export type TranscriptEvent = z.infer<typeof Event>;

/** A transcript as it is played: asciicast v3. */
export interface TranscriptContent {
  readonly cols: number;
  readonly rows: number;
  readonly events: AsyncIterable<TranscriptEvent>;
}

/** Opens a transcript's file and reads its header; a line that is still being written is not read. */
export async function openTranscript(view: TranscriptView): Promise<TranscriptContent> {
  const lines = linesOf(view.path);
  const first = await lines.next();
  const header = Header.safeParse(first.done === true ? undefined : json(first.value));
  if (!header.success) throw broken(view, "its first line is no asciicast v3 header");
  const { cols, rows } = header.data.term;
  return { cols, rows, events: eventsOf(view, lines) };
}

/** Copies a transcript, and compares a kept one with the digest that its evidence record has. */
export async function* checkedBytes(view: TranscriptView): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  for await (const bytes of bytesOf(view.path)) {
    hash.update(bytes);
    yield bytes;
  }
  const digest = `sha256:${hash.digest("hex")}`;
  if (view.reference !== null && view.reference.digest !== digest)
    throw broken(view, `its digest is "${digest}", and its record says "${view.reference.digest}"`);
}

async function* eventsOf(
  view: TranscriptView,
  lines: AsyncIterable<string>,
): AsyncGenerator<TranscriptEvent> {
  for await (const line of lines) {
    if (line === "" || line.startsWith("#")) continue;
    const event = Event.safeParse(json(line));
    if (!event.success) throw broken(view, "a line is no event");
    yield event.data;
  }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of bytesOf(path)) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

async function* bytesOf(path: string): AsyncGenerator<Buffer> {
  const file = await open(path, "r");
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536), 0, 65_536);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function broken({ id, path }: TranscriptView, why: string): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_INVALID",
    message: `Cannot use transcript "${id}": ${why}`,
    hint: `doorward evidence verify; the file is ${path}`,
  });
}
