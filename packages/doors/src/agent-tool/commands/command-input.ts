import { DoorwardError } from "@doorward/contracts";
import type { GuestCommand } from "@doorward/guest";

/** Most bytes of input that wait for a program which does not read them. */
const MOST_WAITING_BYTES = 1_048_576;

/** Standard input of a command: sent as fast as the program reads. */
export class CommandInput {
  readonly #command: GuestCommand;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #room: number;
  #ending = false;
  #ended = false;

  constructor(command: GuestCommand) {
    this.#command = command;
    this.#room = command.started.stdinWindow;
  }

  /** Whether more may be sent. */
  get open(): boolean {
    return !this.#ending;
  }

  /** Sends text, or keeps it until the program reads; INPUT_TOO_LARGE when it does not. */
  send(text: string): void {
    const bytes = Buffer.from(text);
    if (this.#bytes + bytes.length > MOST_WAITING_BYTES) throw unread(this.#bytes);
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    this.#flow();
  }

  /** Ends it after what waits. */
  end(): void {
    this.#ending = true;
    this.#flow();
  }

  /** So many more bytes may be sent. */
  credit(bytes: number): void {
    this.#room += bytes;
    this.#flow();
  }

  #flow(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#room > 0; next = this.#waiting[0]) {
      const now = next.subarray(0, this.#room);
      this.#command.stdin(now);
      this.#room -= now.length;
      this.#bytes -= now.length;
      if (now.length === next.length) this.#waiting.shift();
      else this.#waiting[0] = next.subarray(now.length);
    }
    if (!this.#ending || this.#ended || this.#waiting.length > 0) return;
    this.#ended = true;
    this.#command.endStdin();
  }
}

function unread(bytes: number): DoorwardError {
  return new DoorwardError({
    code: "INPUT_TOO_LARGE",
    message: `Cannot send input: the program has not read ${String(bytes)} bytes that were sent before`,
    hint: "Wait until it reads, or send less at once",
  });
}
