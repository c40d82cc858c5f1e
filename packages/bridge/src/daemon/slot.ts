import { toDoorwardError, type DoorwardError } from "@doorward/contracts";

/** Something that may fail to open now and work later: opened once, and tried again on the next use after a failure. */
export class Slot<T extends AsyncDisposable> implements AsyncDisposable {
  readonly #open: () => Promise<T>;
  #opening: Promise<T> | undefined;
  #problem: DoorwardError | undefined;
  #value: T | undefined;

  constructor(open: () => Promise<T>) {
    this.#open = open;
  }

  /** What was opened; undefined before the first success. */
  get value(): T | undefined {
    return this.#value;
  }

  /** Why the last try failed. */
  get problem(): DoorwardError | undefined {
    return this.#problem;
  }

  /** Opens when needed; everyone who asks meanwhile shares one try. */
  get(): Promise<T> {
    this.#opening ??= this.#try();
    return this.#opening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.[Symbol.asyncDispose]();
  }

  async #try(): Promise<T> {
    try {
      this.#value = await this.#open();
      this.#problem = undefined;
      return this.#value;
    } catch (error) {
      this.#problem = toDoorwardError(error);
      this.#opening = undefined;
      throw this.#problem;
    }
  }
}
