import { MachinePath } from "@doorward/contracts";
import * as z from "zod";
import type { FrameRule, FrameRules } from "./frame.ts";

/** First version with file streams. */
export const FILES_PROTOCOL = 3;

/** Frame types of a file stream, beside `started` and `failed`. */
export const FILES_FRAME = {
  request: 0x40,
  answer: 0x41,
  /** Names the request that the bytes after it belong to. */
  at: 0x42,
  bytes: 0x43,
  credit: 0x44,
} as const;

/** Largest payload of a frame that carries bytes of a file. */
export const FILES_CHUNK_BYTES = 262_144;
/** Bytes for changes that the guest takes before the first credit. */
export const FILES_WINDOW_BYTES = 1_048_576;
/** Requests of one stream that are under way at once; more wait at the bridge. */
export const FILES_IN_FLIGHT = 64;
/** A file up to this size is sent without asking the bridge for room first. */
export const SMALL_READ_BYTES = 65_536;
/** Most that one read answers. */
export const MAX_READ_BYTES = 134_217_728;
/** Most that the writes of one change carry. */
export const MAX_CHANGE_BYTES = 268_435_456;
/** Most changes in one request. */
export const MAX_CHANGES = 1000;
/** Most entries or names that a list answers. */
export const MAX_ITEMS = 10_000;
/** Most matching lines that a search answers. */
export const MAX_LINES = 5000;
/** Longest line that a search answers, in bytes; the rest is cut. */
export const MAX_LINE_BYTES = 2000;

const REQUEST_BYTES = 2_097_152;
/** An answer's lists are cut before they pass this. */
export const ANSWER_BYTES = 4_194_304;

const Id = z.int().min(1).max(0xffff_ffff);
const Size = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
/** What a caller asked for; the guest judges its form with a message of its own. */
const Asked = z.string().max(65_536);
const Name = z.string().min(1).max(4096);

const FilesRoot = z.strictObject({
  path: MachinePath,
  access: z.enum(["ro", "rw"]),
  protected: z
    .array(Name)
    .max(500)
    .describe(
      "Names that are refused to changes, relative to repositories; `.git/NAME` counts in every git folder",
    ),
});

/** Opens a file stream: what is reached, and where relative paths start. */
export const FilesOpen = z.strictObject({
  kind: z.literal("files"),
  roots: z.array(FilesRoot).min(1).max(64),
  workdir: MachinePath,
});
export type FilesOpen = z.infer<typeof FilesOpen>;
export type FilesRoot = FilesOpen["roots"][number];

/** A file stream stands. */
export const FilesStarted = z.strictObject({});

const Expected = z.union([z.strictObject({ digest: Digest }), z.literal("absent"), z.literal("any")]);
const Change = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("write"),
    path: Asked,
    size: z.int().min(0).max(MAX_CHANGE_BYTES),
    expect: Expected,
    parents: z.boolean(),
    executable: z.boolean().optional(),
  }),
  z.strictObject({ kind: z.literal("remove"), path: Asked, expect: Expected }),
  z.strictObject({
    kind: z.literal("move"),
    path: Asked,
    to: Asked,
    expect: Expected,
    parents: z.boolean(),
  }),
]);
export type WireChange = z.infer<typeof Change>;

/** What the bridge asks on a file stream. */
export const FilesRequest = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("stat"), id: Id, path: Asked }),
  z.strictObject({ op: z.literal("read"), id: Id, path: Asked, offset: Size, length: Size }),
  z.strictObject({ op: z.literal("send"), id: Id }).describe("There is room for what this read announced"),
  z.strictObject({ op: z.literal("change"), id: Id, changes: z.array(Change).min(1).max(MAX_CHANGES) }),
  z.strictObject({
    op: z.literal("list"),
    id: Id,
    path: Asked,
    depth: z.int().min(1).max(64),
    limit: z.int().min(1).max(MAX_ITEMS),
  }),
  z.strictObject({
    op: z.literal("find"),
    id: Id,
    path: Asked,
    glob: z.string().max(4096),
    ignored: z.boolean(),
    limit: z.int().min(1).max(MAX_ITEMS),
  }),
  z.strictObject({
    op: z.literal("search"),
    id: Id,
    path: Asked,
    pattern: z.string().max(16_384),
    literal: z.boolean(),
    caseSensitive: z.boolean(),
    globs: z.array(z.string().max(4096)).max(64),
    ignored: z.boolean(),
    context: z.int().min(0).max(20),
    limit: z.int().min(1).max(MAX_LINES),
  }),
  z.strictObject({ op: z.literal("cancel"), id: Id }),
]);
export type FilesRequest = z.infer<typeof FilesRequest>;
export type FilesRequestOf<Op extends FilesRequest["op"]> = Extract<FilesRequest, { op: Op }>;

const Kind = z.enum(["file", "folder", "symlink", "other"]);
const Milliseconds = z.number().min(-1e15).max(1e15);
const Path = z.string().min(1).max(16_384);

export const StatAnswer = z.strictObject({
  path: Path,
  kind: Kind,
  size: Size,
  modifiedMs: Milliseconds,
  executable: z.boolean(),
});

/** What a read gives: first how many bytes follow where it is more than a little, at last how many did. */
export const ReadAnswer = z.strictObject({
  size: Size,
  bytes: z.int().min(0).max(MAX_READ_BYTES),
  whole: z.boolean(),
  path: Path.optional().describe("With every symlink resolved; said at the end, but not by an earlier build"),
});

export const ChangeAnswer = z.array(z.strictObject({ path: Path, created: z.boolean() })).max(MAX_CHANGES);

export const ListAnswer = z.strictObject({
  items: z
    .array(z.strictObject({ path: Path, kind: Kind, size: Size, modifiedMs: Milliseconds }))
    .max(MAX_ITEMS),
  truncated: z.boolean(),
});

export const FindAnswer = z.strictObject({ items: z.array(Path).max(MAX_ITEMS), truncated: z.boolean() });

export const SearchAnswer = z.strictObject({
  items: z
    .array(
      z.strictObject({
        path: Path,
        line: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
        match: z.boolean(),
        text: z.string().max(MAX_LINE_BYTES),
      }),
    )
    .max(MAX_LINES * 41),
  truncated: z.boolean(),
});

/** Why a request failed. */
export const FilesFailure = z.strictObject({
  code: z.enum([
    "PATH_NOT_ALLOWED",
    "PATH_NOT_FOUND",
    "PATH_INVALID",
    "PATH_NOT_DIRECTORY",
    "PATH_CHANGED",
    "INPUT_TOO_LARGE",
    "INPUT_INVALID",
    "COMMAND_NOT_FOUND",
    "PROCESS_LIMIT",
    "ABORTED",
    "INTERNAL",
  ]),
  message: z.string().max(20_000),
});
export type FilesFailure = z.infer<typeof FilesFailure>;

/** What the guest answers; the shape of `ok` is that of the request's kind. */
export const FilesAnswer = z.union([
  z.strictObject({ id: Id, ok: z.unknown() }),
  z.strictObject({ id: Id, head: ReadAnswer }),
  z.strictObject({ id: Id, error: FilesFailure }),
]);
export type FilesAnswer = z.infer<typeof FilesAnswer>;

const message = (name: string, max: number): FrameRule => ({ name, min: 2, max, streamed: false });
const exactly = (name: string, bytes: number): FrameRule => ({
  name,
  min: bytes,
  max: bytes,
  streamed: false,
});
const data = (name: string): FrameRule => ({ name, min: 1, max: FILES_CHUNK_BYTES, streamed: true });

/** Frames of a file stream that the bridge accepts, beside `started` and `failed`. */
export const FILES_FROM_GUEST: FrameRules = new Map([
  [FILES_FRAME.answer, message("answer", ANSWER_BYTES)],
  [FILES_FRAME.at, exactly("at", 4)],
  [FILES_FRAME.bytes, data("bytes")],
  [FILES_FRAME.credit, exactly("credit", 4)],
]);

/** Frames of a file stream that the guest accepts. */
export const FILES_FROM_BRIDGE_RULES: FrameRules = new Map([
  [FILES_FRAME.request, message("request", REQUEST_BYTES)],
  [FILES_FRAME.at, exactly("at", 4)],
  [FILES_FRAME.bytes, data("bytes")],
]);

/** A frame's payload that is one number. */
export function number32(value: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(value);
  return payload;
}
