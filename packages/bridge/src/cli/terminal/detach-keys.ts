import { usage } from "../parse-input.ts";

/** Keys that leave a terminal when nothing else is configured: control and ], then d. */
export const DEFAULT_DETACH_KEYS = "ctrl-],d";

/** The bytes of a key sequence such as `ctrl-],d`: keys separated by commas, each one character or `ctrl-` and one. */
export function parseDetachKeys(text: string): Uint8Array {
  const keys = text.split(",").map(keyByte);
  if (keys.length > 8 || keys.includes(undefined)) {
    throw usage(
      `Cannot use option --detach-keys "${text}": keys are separated by commas, each a character or ctrl- and one of a-z @ [ \\ ] ^ _`,
      "--detach-keys",
      `--detach-keys "${DEFAULT_DETACH_KEYS}"`,
    );
  }
  return Uint8Array.from(keys.filter((key) => key !== undefined));
}

function keyByte(key: string): number | undefined {
  const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
  return /^[\u0021-\u002b\u002d-\u007e]$/.test(key) ? key.charCodeAt(0) : undefined;
}

/** What came of some input: what goes on to the machine, and whether the detach keys were pressed. */
export interface DetachInput {
  readonly forward: Uint8Array;
  readonly detached: boolean;
}

/** Looks for the detach keys in typed bytes; keys that may begin them are held back until the next one shows. */
export class DetachKeys {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  push(bytes: Uint8Array): DetachInput {
    const forward: number[] = [];
    for (const byte of bytes) {
      this.#step(byte, forward);
      if (this.#matched === this.#keys.length) return { forward: Uint8Array.from(forward), detached: true };
    }
    return { forward: Uint8Array.from(forward), detached: false };
  }

  /** Falls back to the longest held suffix that can still become the keys, and forwards what can't. */
  #step(byte: number, forward: number[]): void {
    const held = [...this.#keys.subarray(0, this.#matched), byte];
    for (let skip = 0; skip <= held.length; skip += 1) {
      const rest = held.slice(skip);
      if (!rest.every((key, index) => key === this.#keys[index])) continue;
      forward.push(...held.slice(0, skip));
      this.#matched = rest.length;
      return;
    }
  }
}
