import type { Socket } from "node:net";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import {
  CONTROL_FROM_GUEST_RULES,
  ControlFromGuest,
  EGRESS_PORT_PROTOCOL,
  FRAME,
  FrameDecoder,
  decodeMessage,
  encodeMessage,
  expectShape,
  type ControlFromBridge,
  type GuestHello,
} from "@doorward/guest";
import { waitFor } from "./wait-for.ts";

const ANSWER_TIMEOUT_MS = 5000;
/** What may wait for a guest that does not read its control connection, in bytes. */
const MAX_UNREAD_BYTES = 4_194_304;

interface Question {
  readonly what: "health" | "terminals";
  readonly resolve: (answer: ControlFromGuest) => void;
  readonly reject: (error: DoorwardError) => void;
}

/** One live control connection: questions, each answered once, and streams to open. An answer nobody asked for cuts it. */
export class ControlLink {
  readonly hello: GuestHello;
  readonly #socket: Socket;
  readonly #questions = new Map<number, Question>();
  #nextId = 1;

  constructor(socket: Socket, hello: GuestHello, lost: (error: DoorwardError | undefined) => void) {
    this.hello = hello;
    this.#socket = socket;
    const decoder = new FrameDecoder(CONTROL_FROM_GUEST_RULES);
    let error: DoorwardError | undefined;
    socket.on("data", (chunk: Buffer) => {
      try {
        decoder.push(chunk, (_, payload) => this.#answered(payload));
      } catch (thrown) {
        error = toDoorwardError(thrown);
        socket.destroy();
      }
    });
    socket.once("close", () => {
      this.#dropQuestions();
      lost(error);
    });
    this.#send({ type: "welcome", protocol: hello.protocol });
    socket.resume();
  }

  /** Tells the guest to open a stream. */
  open(message: Extract<ControlFromBridge, { type: "open" }>): void {
    this.#send(message);
  }

  /** Tells the guest whether to serve the machine's egress port; one of an earlier build always does. */
  serveEgress(listen: boolean): void {
    if (this.hello.protocol >= EGRESS_PORT_PROTOCOL) this.#send({ type: "egress", listen });
  }

  /** Asks and waits for the answer. */
  async ask(what: "health" | "terminals", signal: AbortSignal): Promise<ControlFromGuest> {
    const id = this.#nextId++;
    const answer = new Promise<ControlFromGuest>((resolve, reject) => {
      this.#questions.set(id, { what, resolve, reject });
    });
    this.#send({ type: "ask", id, what });
    try {
      return await waitFor(answer, ANSWER_TIMEOUT_MS, signal, `answer to "${what}"`);
    } finally {
      // the id stays known: a late answer is no fault of the guest
      if (this.#questions.size > 64) this.cut();
    }
  }

  /** Ends the connection. */
  cut(): void {
    this.#socket.destroy();
  }

  #send(message: ControlFromBridge): void {
    this.#socket.write(encodeMessage(FRAME.control, message));
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.cut();
  }

  #answered(payload: Buffer): void {
    const answer = expectShape(ControlFromGuest, decodeMessage(payload), "answer");
    const question = this.#questions.get(answer.id);
    if (question?.what !== answer.what) {
      throw new DoorwardError({
        code: "GUEST_PROTOCOL",
        message: `Cannot take answer "${answer.what}" ${String(answer.id)}: it was not asked for`,
      });
    }
    this.#questions.delete(answer.id);
    question.resolve(answer);
  }

  #dropQuestions(): void {
    const error = new DoorwardError({
      code: "GUEST_UNREACHABLE",
      message: "Cannot wait for answer: the machine's guest closed its connection",
    });
    for (const question of this.#questions.values()) question.reject(error);
    this.#questions.clear();
  }
}
