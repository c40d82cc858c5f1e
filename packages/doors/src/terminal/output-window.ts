import { outOfTurn } from "./protocol.ts";

/** How much output was sent and acknowledged: beyond `limit` un-acknowledged bytes the sender has to wait. */
export class OutputWindow {
  readonly limit: number;
  #sent: number;
  #acknowledged: number;

  constructor(limit: number, start: number) {
    this.limit = limit;
    this.#sent = start;
    this.#acknowledged = start;
  }

  /** Whether more may be sent. */
  get open(): boolean {
    return this.#sent - this.#acknowledged < this.limit;
  }

  /** Position after everything sent. */
  get sent(): number {
    return this.#sent;
  }

  /** Notes that bytes were sent; answers whether more may be. */
  send(bytes: number): boolean {
    this.#sent += bytes;
    return this.open;
  }

  /** Notes that bytes were lost on the way here: nobody will acknowledge them. */
  skip(to: number): void {
    this.#acknowledged += to - this.#sent;
    this.#sent = to;
  }

  /** Notes what the client consumed; what it never got can't be acknowledged. */
  acknowledge(position: number): void {
    if (position > this.#sent) throw outOfTurn("ack", `"${String(position)}" was not sent yet`);
    this.#acknowledged = Math.max(this.#acknowledged, position);
  }
}
