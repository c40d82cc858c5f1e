interface Waiting {
  readonly bytes: number;
  readonly granted: () => void;
}

/** Memory that the reads of one stream may take together; who comes when it is used up waits his turn. */
export class ByteBudget {
  #left: number;
  readonly #waiting: Waiting[] = [];

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** Calls back once there is room; answers what takes the request back, or gives the room back. */
  take(bytes: number, granted: () => void): () => void {
    const waiting = { bytes, granted };
    let state: "waiting" | "granted" | "over" = "waiting";
    this.#waiting.push({
      bytes,
      granted: () => {
        state = "granted";
        waiting.granted();
      },
    });
    const entry = this.#waiting.at(-1);
    this.#serve();
    return () => {
      if (state === "granted") this.#left += bytes;
      else if (entry !== undefined) this.#drop(entry);
      state = "over";
      this.#serve();
    };
  }

  #drop(entry: Waiting): void {
    const at = this.#waiting.indexOf(entry);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  #serve(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && next.bytes <= this.#left;
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#left -= next.bytes;
      next.granted();
    }
  }
}
