import type { DoorwardError } from "@doorward/contracts";

/** The first answer of a peer: either what was waited for, or the error that the connection ended with before it. */
export class Handshake<Answer> {
  readonly answer: Promise<Answer>;
  #settled = false;
  #resolve: (answer: Answer) => void = () => undefined;
  #reject: (error: DoorwardError) => void = () => undefined;

  constructor() {
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.answer.catch(() => undefined);
  }

  /** True when this was the first answer. */
  accept(answer: Answer): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#resolve(answer);
    return true;
  }

  /** True when the error was the first answer. */
  refuse(error: DoorwardError): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#reject(error);
    return true;
  }
}
