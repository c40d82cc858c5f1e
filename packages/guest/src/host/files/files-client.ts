import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { DoorwardError } from "@doorward/contracts";
import type * as z from "zod";
import type {
  Bounded,
  FileChange,
  FileChanged,
  FileContent,
  FileStat,
  FindRequest,
  FolderEntry,
  GuestFiles,
  ListRequest,
  SearchLine,
  SearchRequest,
} from "../../files.ts";
import {
  ChangeAnswer,
  FindAnswer,
  ListAnswer,
  MAX_CHANGES,
  MAX_CHANGE_BYTES,
  MAX_READ_BYTES,
  ReadAnswer,
  SearchAnswer,
  StatAnswer,
  type WireChange,
} from "../../files-protocol.ts";
import { expectShape } from "../../protocol.ts";
import { protocolError, type GuestStream } from "../guest-stream.ts";
import { FilesCalls, type CallOf } from "./files-calls.ts";
import { ReachedPaths } from "./reached-paths.ts";
import { ReadSink } from "./read-sink.ts";

/** The bridge's end of a file stream. What the guest answers is checked against what was asked; the rest ends the stream. */
export class FilesClient implements GuestFiles {
  readonly #calls: FilesCalls;
  readonly #paths: ReachedPaths;

  constructor(stream: GuestStream, roots: readonly string[]) {
    this.#calls = new FilesCalls(stream);
    this.#paths = new ReachedPaths(roots);
  }

  get open(): boolean {
    return this.#calls.open;
  }

  async stat(path: string, signal: AbortSignal): Promise<FileStat> {
    return await this.#ask({ op: "stat", path }, StatAnswer, signal, (stat) => this.#check([stat], 1));
  }

  async read(
    path: string,
    range: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): Promise<FileContent> {
    const { offset, length } = range;
    // One byte more than is allowed still makes the guest refuse a file that is too large.
    const asked = Math.min(length, MAX_READ_BYTES + 1);
    const sink = new ReadSink(offset, asked);
    const finish = (ok: unknown): FileContent => {
      const content = sink.finish(expectShape(ReadAnswer, ok, "answer of a read"));
      if (content.path !== null) this.#paths.require(content.path);
      return content;
    };
    return await this.#calls.call({ op: "read", path, offset, length: asked }, { finish, sink }, signal);
  }

  async change(changes: readonly FileChange[], signal: AbortSignal): Promise<readonly FileChanged[]> {
    if (changes.length === 0) return [];
    const bodies = changes.flatMap((change) => (change.kind === "write" ? [change.bytes] : []));
    const bytes = bodies.reduce((sum, body) => sum + body.length, 0);
    if (bytes > MAX_CHANGE_BYTES || changes.length > MAX_CHANGES) throw tooMuch(changes.length, bytes);
    const digests = await Promise.all(bodies.map(digestOf));
    const finish = (ok: unknown): FileChanged[] => this.#changed(ok, changes, digests);
    return await this.#calls.change({ op: "change", changes: changes.map(onWire) }, finish, bodies, signal);
  }

  async list(request: ListRequest, signal: AbortSignal): Promise<Bounded<FolderEntry>> {
    const { path, depth, limit } = request;
    return await this.#ask({ op: "list", path, depth, limit }, ListAnswer, signal, ({ items }) =>
      this.#check(items, limit),
    );
  }

  async find(request: FindRequest, signal: AbortSignal): Promise<Bounded<string>> {
    const { path, glob, ignored, limit } = request;
    return await this.#ask({ op: "find", path, glob, ignored, limit }, FindAnswer, signal, ({ items }) =>
      this.#check(
        items.map((item) => ({ path: item })),
        limit,
      ),
    );
  }

  async search(request: SearchRequest, signal: AbortSignal): Promise<Bounded<SearchLine>> {
    const { path, pattern, literal, caseSensitive, globs, ignored, context, limit } = request;
    const asked = { path, pattern, literal, caseSensitive, globs: [...globs], ignored, context, limit };
    return await this.#ask({ op: "search", ...asked }, SearchAnswer, signal, ({ items }) =>
      this.#check(items, limit * (2 * context + 1)),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#calls.close();
    return Promise.resolve();
  }

  async #ask<Schema extends z.ZodType>(
    request: CallOf,
    schema: Schema,
    signal: AbortSignal,
    check: (answer: z.infer<Schema>) => void,
  ): Promise<z.infer<Schema>> {
    const finish = (ok: unknown): z.infer<Schema> => {
      const answer = expectShape(schema, ok, `answer of a ${request.op}`);
      check(answer);
      return answer;
    };
    return await this.#calls.call(request, { finish }, signal);
  }

  #changed(ok: unknown, changes: readonly FileChange[], digests: readonly string[]): FileChanged[] {
    const answer = expectShape(ChangeAnswer, ok, "answer of a change");
    if (answer.length !== changes.length)
      throw protocolError("it answers for other changes than were asked for");
    this.#check(answer, changes.length);
    const left = [...digests];
    return answer.map(({ path, created }, index) => ({
      path,
      created,
      digest: changes[index]?.kind === "write" ? (left.shift() ?? null) : null,
    }));
  }

  #check(items: readonly { readonly path: string }[], limit: number): void {
    if (items.length > limit) throw protocolError("it answers with more than was asked for");
    for (const { path } of items) this.#paths.require(path);
  }
}

const HASH_STEP_BYTES = 1_048_576;

/** Of what is sent, computed here; a large one in steps, since everybody else waits meanwhile. */
async function digestOf(bytes: Buffer): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.length; at += HASH_STEP_BYTES) {
    if (at > 0) await setImmediate();
    hash.update(bytes.subarray(at, at + HASH_STEP_BYTES));
  }
  return `sha256:${hash.digest("hex")}`;
}

function onWire(change: FileChange): WireChange {
  const { path } = change;
  const expect = typeof change.expect === "string" ? change.expect : { digest: change.expect.digest };
  if (change.kind === "remove") return { kind: "remove", path, expect };
  if (change.kind === "move") return { kind: "move", path, to: change.to, expect, parents: change.parents };
  const { bytes, executable, parents } = change;
  const write = { kind: "write", path, size: bytes.length, expect, parents } as const;
  return executable === undefined ? write : { ...write, executable };
}

function tooMuch(changes: number, bytes: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot change files: ${String(changes)} changes with ${String(bytes)} bytes are over ${String(MAX_CHANGES)} changes or ${String(MAX_CHANGE_BYTES)} bytes`,
  });
}
