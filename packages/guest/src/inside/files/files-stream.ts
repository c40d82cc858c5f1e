import type { Socket } from "node:net";
import { FrameDecoder, decodeMessage, encodeMessage } from "../../frame.ts";
import {
  FILES_FRAME,
  FILES_FROM_BRIDGE_RULES,
  FILES_IN_FLIGHT,
  FILES_WINDOW_BYTES,
  FilesRequest,
  MAX_CHANGE_BYTES,
  type FilesFailure,
  type FilesOpen,
  type FilesRequestOf,
} from "../../files-protocol.ts";
import { FRAME, expectShape } from "../../protocol.ts";
import type { BeneathOpener } from "./beneath-opener.ts";
import { ChangeBody } from "./change-body.ts";
import { changeFiles } from "./change-files.ts";
import { FileFailure, fileFailure } from "./file-failure.ts";
import { FilesOutput } from "./files-output.ts";
import { findFiles } from "./find-files.ts";
import { listFolder, statPath } from "./list-folder.ts";
import { Reach } from "./reach.ts";
import { isSmall, openForReading, readParts, readSmall } from "./read-file.ts";
import type { Ripgrep } from "./ripgrep.ts";
import { searchFiles } from "./search-files.ts";
import { SentParts } from "./sent-parts.ts";
import type { Turns } from "./turns.ts";

/** What all file streams share. */
export interface FileTools {
  readonly opener: BeneathOpener;
  readonly ripgrep: Ripgrep;
  /** Files that are sent part by part at once. */
  readonly largeReads: Turns;
}

/** A request that is answered later. */
interface Running {
  readonly abort: AbortController;
  /** Lets a read that announced its bytes send them. */
  send: (() => void) | undefined;
}

type Later = Exclude<FilesRequest, { op: "cancel" | "send" | "stat" }>;

/** Serves one file stream: many requests at once, told apart by their ids. What breaks the rules ends it. */
export class FilesStream {
  readonly #socket: Socket;
  readonly #reach: Reach;
  readonly #tools: FileTools;
  readonly #output: FilesOutput;
  readonly #decoder = new FrameDecoder(FILES_FROM_BRIDGE_RULES);
  readonly #running = new Map<number, Running>();
  readonly #bodies = new Map<number, ChangeBody>();
  #changes: Promise<void> = Promise.resolve();
  #at = 0;
  #window = FILES_WINDOW_BYTES;

  /** Answers `started` and serves until the socket closes. */
  static run(open: FilesOpen, socket: Socket, tools: FileTools): void {
    new FilesStream(open, socket, tools);
  }

  private constructor(open: FilesOpen, socket: Socket, tools: FileTools) {
    this.#socket = socket;
    this.#tools = tools;
    this.#reach = new Reach(open, tools.opener);
    this.#output = new FilesOutput(socket);
    socket.write(encodeMessage(FRAME.started, {}));
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.once("close", () => this.#close());
    if (socket.destroyed) this.#close();
  }

  #close(): void {
    for (const { abort } of this.#running.values()) abort.abort();
    if (this.#running.size === 0) this.#reach[Symbol.dispose]();
  }

  #received(chunk: Buffer): void {
    this.#socket.cork();
    try {
      this.#decoder.push(chunk, (type, payload) => this.#frame(type, payload));
    } catch (error) {
      console.error("file stream cut:", error instanceof Error ? error.message : error);
      this.#socket.destroy();
    } finally {
      this.#socket.uncork();
    }
  }

  #frame(type: number, payload: Buffer): void {
    if (type === FILES_FRAME.at) this.#at = payload.readUInt32BE(0);
    else if (type === FILES_FRAME.bytes) this.#body(payload);
    else this.#request(expectShape(FilesRequest, decodeMessage(payload), "request"));
  }

  #body(part: Buffer): void {
    const body = this.#bodies.get(this.#at);
    this.#window -= part.length;
    if (body === undefined || this.#window < 0 || !body.push(part))
      throw new Error("bytes that nobody expects");
    if (body.complete) this.#bodies.delete(this.#at);
  }

  #request(request: FilesRequest): void {
    const { id } = request;
    if (request.op === "cancel") this.#cancel(id);
    else if (request.op === "send") this.#running.get(id)?.send?.();
    else if (this.#running.has(id)) throw new Error(`request "${String(id)}" comes twice`);
    else if (this.#running.size >= FILES_IN_FLIGHT) throw new Error("too many requests at once");
    else if (request.op === "stat") this.#atOnce(id, () => statPath(this.#reach, request.path));
    else if (request.op === "read") this.#read(request);
    else this.#later(request, (signal) => this.#work(request, signal));
  }

  #cancel(id: number): void {
    this.#running.get(id)?.abort.abort();
    this.#bodies.get(id)?.discard();
    this.#bodies.delete(id);
  }

  #atOnce(id: number, work: () => unknown): void {
    try {
      this.#output.answer({ id, ok: work() });
    } catch (error) {
      this.#output.answer({ id, error: failureOf(error) });
    }
  }

  #read(request: FilesRequestOf<"read">): void {
    this.#atOnceOr(request, () => {
      const file = openForReading(this.#reach, request.path, request.offset, request.length);
      if (!isSmall(file)) {
        this.#later(request, (signal) => this.#large(request.id, file, signal));
        return;
      }
      using _file = file;
      const { bytes, result } = readSmall(file);
      if (bytes.length > 0) this.#output.bytes(request.id, bytes);
      this.#output.answer({ id: request.id, ok: result });
    });
  }

  #atOnceOr(request: FilesRequest, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#output.answer({ id: request.id, error: failureOf(error) });
    }
  }

  async #large(id: number, file: ReturnType<typeof openForReading>, signal: AbortSignal): Promise<unknown> {
    using _file = file;
    await this.#offer(id, file.size, file.length, signal);
    using _turn = await this.#tools.largeReads.take(signal);
    return await readParts(file, new SentParts(id, this.#output), signal);
  }

  /** Says how much will come, and waits until the bridge has room for it. */
  async #offer(id: number, size: number, bytes: number, signal: AbortSignal): Promise<void> {
    this.#output.answer({ id, head: { size, bytes, whole: false } });
    const running = this.#running.get(id);
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (running === undefined || signal.aborted) resolve();
      else running.send = resolve;
    });
    signal.throwIfAborted();
  }

  #later(request: Later, work: (signal: AbortSignal) => Promise<unknown>): void {
    const { id } = request;
    const running: Running = { abort: new AbortController(), send: undefined };
    this.#running.set(id, running);
    work(running.abort.signal)
      .then(
        (ok) => this.#output.answer({ id, ok }),
        (error: unknown) => this.#output.answer({ id, error: failureOf(error) }),
      )
      .finally(() => this.#ended(id));
  }

  #ended(id: number): void {
    this.#running.delete(id);
    this.#bodies.get(id)?.discard();
    if (this.#socket.destroyed && this.#running.size === 0) this.#reach[Symbol.dispose]();
  }

  async #work(request: Exclude<Later, { op: "read" }>, signal: AbortSignal): Promise<unknown> {
    const { ripgrep } = this.#tools;
    if (request.op === "list") return await listFolder(this.#reach, request, signal);
    if (request.op === "find") return await findFiles(this.#reach, ripgrep, request, signal);
    if (request.op === "search") return await searchFiles(this.#reach, ripgrep, request, signal);
    return await this.#change(request, signal);
  }

  /** Changes of one stream are done one after the other, in the order in which they were asked for. */
  #change(request: FilesRequestOf<"change">, signal: AbortSignal): Promise<unknown> {
    const bytes = request.changes.reduce(
      (sum, change) => sum + (change.kind === "write" ? change.size : 0),
      0,
    );
    if (bytes > MAX_CHANGE_BYTES) throw new Error("a change is too large");
    const body = new ChangeBody(bytes, (taken) => this.#credit(taken));
    if (bytes > 0) this.#bodies.set(request.id, body);
    const change = this.#changes.then(() => {
      signal.throwIfAborted();
      return changeFiles(this.#reach, request.changes, (size) => body.take(size, signal), signal);
    });
    this.#changes = change.then(
      () => undefined,
      () => undefined,
    );
    return change.finally(() => body.discard());
  }

  #credit(bytes: number): void {
    this.#window += bytes;
    this.#output.credit(bytes);
  }
}

function failureOf(error: unknown): FilesFailure {
  if (error instanceof Error && error.name === "AbortError") return { code: "ABORTED", message: "Cancelled" };
  const { code, message } = error instanceof FileFailure ? error : fileFailure(error, "Unexpected fault");
  return { code, message: message.slice(0, 20_000) };
}
