import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import { decodeMessage, encodeFrame } from "../../frame.ts";
import {
  FILES_CHUNK_BYTES,
  FILES_FRAME,
  FILES_IN_FLIGHT,
  FILES_WINDOW_BYTES,
  FilesAnswer,
  FilesRequest,
  MAX_READ_BYTES,
  number32,
} from "../../files-protocol.ts";
import { expectShape } from "../../protocol.ts";
import { abortError } from "../abort-error.ts";
import { protocolError, type GuestStream } from "../guest-stream.ts";
import { plainText } from "../plain-text.ts";
import { AbortListeners } from "./abort-listeners.ts";
import { ByteBudget } from "./byte-budget.ts";
import { CallSlots } from "./call-slots.ts";
import type { ReadSink } from "./read-sink.ts";

/** A guest that does not answer a call this long after it was given up is not waited for any longer. */
const GIVEN_UP_MS = 10_000;

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** A request without its id. */
export type CallOf = DistributiveOmit<FilesRequest, "id">;

/** What makes the result of a call from the guest's answer; it throws GUEST_PROTOCOL where that does not fit. */
export interface CallEnd<Result> {
  finish(ok: unknown): Result;
  /** Where bytes of a read go; without one no bytes may come. */
  readonly sink?: ReadSink;
}

interface Call {
  readonly sink: ReadSink | undefined;
  answered(ok: unknown): void;
  failed(error: DoorwardError): void;
  /** Gives back the memory that its read was allowed to take. */
  giveBack: (() => void) | undefined;
  /** Runs once the call was given up, until the guest answers all the same. */
  givenUp: NodeJS.Timeout | undefined;
}

/** Calls of one file stream: numbered, so many at once, each answered once or given up. */
export class FilesCalls {
  readonly #stream: GuestStream;
  readonly #calls = new Map<number, Call>();
  readonly #listeners = new AbortListeners();
  readonly #slots = new CallSlots(FILES_IN_FLIGHT, this.#listeners);
  readonly #budget = new ByteBudget(MAX_READ_BYTES);
  readonly #sending = new CallSlots(1, this.#listeners);
  #lastId = 0;
  #at = 0;
  #credit = FILES_WINDOW_BYTES;
  #wake: (() => void) | undefined;
  #closed: DoorwardError | undefined;

  constructor(stream: GuestStream) {
    this.#stream = stream;
    stream.listen({
      frame: (type, payload) => this.#frame(type, payload),
      closed: (error) => this.#close(error ?? gone()),
    });
  }

  get open(): boolean {
    return this.#closed === undefined;
  }

  /** Asks and waits for the answer. */
  async call<Result>(call: CallOf, end: CallEnd<Result>, signal: AbortSignal): Promise<Result> {
    const { answer } = await this.#begin(call, end, signal);
    return await answer;
  }

  /** Asks for a change and sends what it writes; bodies go one after the other. */
  async change<Result>(
    call: CallOf,
    finish: (ok: unknown) => Result,
    bodies: readonly Buffer[],
    signal: AbortSignal,
  ): Promise<Result> {
    await this.#sending.take(signal);
    let begun: Begun<Result>;
    try {
      begun = await this.#begin(call, { finish }, signal);
      // handled below; until then it may be refused while its bytes still go
      begun.answer.catch(() => undefined);
      await this.#send(begun.id, bodies);
    } finally {
      this.#sending.release();
    }
    return await begun.answer;
  }

  /** Closes the stream; calls under way end with GUEST_UNREACHABLE. */
  close(): void {
    this.#close(gone());
    this.#stream.destroy();
  }

  async #begin<Result>(call: CallOf, end: CallEnd<Result>, signal: AbortSignal): Promise<Begun<Result>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const request = requestOf(call, id);
    await this.#slots.take(signal);
    const answer = new Promise<Result>((resolve, reject) => {
      const stop = (): void => {
        reject(abortError(signal));
        this.#giveUp(id);
      };
      const over = this.#listeners.add(signal, stop);
      this.#calls.set(id, {
        sink: end.sink,
        giveBack: undefined,
        givenUp: undefined,
        answered: (ok) => {
          over();
          resolve(end.finish(ok));
        },
        failed: (error) => {
          over();
          reject(error);
        },
      });
      if (this.#closed !== undefined) this.#close(this.#closed);
      else this.#stream.send(FILES_FRAME.request, request);
      if (signal.aborted) stop();
    });
    return { id, answer };
  }

  /** Nobody waits for the answer any more; the guest is told, and what it still sends is thrown away. */
  #giveUp(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    call.sink?.discard();
    this.#stream.send(FILES_FRAME.request, { op: "cancel", id } satisfies FilesRequest);
    call.givenUp = setTimeout(() => this.#stream.destroy(), GIVEN_UP_MS).unref();
    this.#wake?.();
  }

  #frame(type: number, payload: Buffer): void {
    if (type === FILES_FRAME.bytes) this.#bytes(payload);
    else if (type === FILES_FRAME.at) this.#at = payload.readUInt32BE(0);
    else if (type === FILES_FRAME.credit) this.#credited(payload.readUInt32BE(0));
    else this.#answer(expectShape(FilesAnswer, decodeMessage(payload), "answer"));
  }

  #bytes(part: Buffer): void {
    const sink = this.#calls.get(this.#at)?.sink;
    if (sink === undefined) throw protocolError("it sends bytes that nobody asked for");
    sink.push(part);
  }

  #answer(answer: FilesAnswer): void {
    const call = this.#calls.get(answer.id);
    if (call === undefined) throw protocolError("it answers what nobody asked");
    if ("head" in answer) this.#head(answer.id, call, answer.head);
    else this.#over(answer.id, call, answer);
  }

  #over(id: number, call: Call, answer: Exclude<FilesAnswer, { head: unknown }>): void {
    this.#forget(id, call);
    this.#slots.release();
    if ("error" in answer) call.failed(failureOf(answer.error));
    else if (call.givenUp === undefined) this.#finish(call, answer.ok);
  }

  /** An answer that does not fit fails the call as well as the stream. */
  #finish(call: Call, ok: unknown): void {
    try {
      call.answered(ok);
    } catch (error) {
      call.failed(toDoorwardError(error));
      throw error;
    }
  }

  #head(id: number, call: Call, head: Parameters<ReadSink["announce"]>[0]): void {
    if (call.sink === undefined) throw protocolError("it announces bytes that nobody asked for");
    const { sink } = call;
    sink.announce(head);
    call.giveBack = this.#budget.take(head.bytes, () => {
      sink.begin();
      this.#stream.send(FILES_FRAME.request, { op: "send", id } satisfies FilesRequest);
    });
  }

  #forget(id: number, call: Call): void {
    this.#calls.delete(id);
    clearTimeout(call.givenUp);
    call.giveBack?.();
    this.#wake?.();
  }

  /** Sends bodies as far as the guest gives room; a call that is over before gets no more. */
  async #send(id: number, bodies: readonly Buffer[]): Promise<void> {
    for (const body of bodies) {
      for (let at = 0; at < body.length; at += FILES_CHUNK_BYTES) {
        const part = body.subarray(at, at + FILES_CHUNK_BYTES);
        while (this.#credit < part.length && this.#isWanted(id)) await this.#news();
        if (!this.#isWanted(id)) {
          if (this.open) this.#stream.send(FILES_FRAME.request, { op: "cancel", id } satisfies FilesRequest);
          return;
        }
        this.#credit -= part.length;
        this.#stream.write(encodeFrame(FILES_FRAME.at, number32(id)));
        this.#stream.write(encodeFrame(FILES_FRAME.bytes, part));
      }
    }
  }

  #isWanted(id: number): boolean {
    const call = this.#calls.get(id);
    return call !== undefined && call.givenUp === undefined;
  }

  #news(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  /** A guest that credits more than it was sent could make the bridge send without bound. */
  #credited(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > FILES_WINDOW_BYTES) throw protocolError("it credits bytes that were not sent");
    this.#wake?.();
  }

  #close(error: DoorwardError): void {
    this.#closed ??= error;
    for (const [id, call] of [...this.#calls]) {
      this.#forget(id, call);
      this.#slots.release();
      call.failed(error);
    }
  }
}

interface Begun<Result> {
  readonly id: number;
  readonly answer: Promise<Result>;
}

/** A request that has the form of the protocol; INPUT_INVALID names what has not. */
function requestOf(call: CallOf, id: number): FilesRequest {
  const parsed = FilesRequest.safeParse({ ...call, id });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot ${call.op} files: "${issue?.path.join(".") ?? ""}" ${issue?.message ?? "is wrong"}`,
  });
}

function failureOf({ code, message }: Extract<FilesAnswer, { error: unknown }>["error"]): DoorwardError {
  return new DoorwardError({ code, message: plainText(message) });
}

function gone(): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: "Cannot go on with files: the machine's guest closed the stream",
  });
}
