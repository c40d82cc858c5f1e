import type { BoundSecret } from "../egress/ports.ts";
import { EchoAutomaton } from "./echo-automaton.ts";
import { echoForms } from "./echo-forms.ts";
import { BASIC_HEADER } from "./substitute.ts";

const STAR = 0x2a;
/** An end that could be so many first bytes of an echo is taken for one that was cut off. */
const CUT_OFF = 8;
const KEPT_MASKS = 8;

/**
 * Takes the values of secrets out of answers: every byte of an echo becomes `*`, so that lengths stay as announced.
 * An echo is recognised in the forms of {@link echoForms}, wherever the stream was cut.
 */
export class AnswerMask {
  readonly #automaton: EchoAutomaton;

  /** `basic` are those of the values that may be sent in `Basic` credentials. */
  constructor(values: readonly string[], basic: readonly string[] = []) {
    this.#automaton = new EchoAutomaton(values.flatMap((value) => echoForms(value, basic.includes(value))));
  }

  /** A reason phrase, header or other short text. */
  text(text: string): string {
    const body = this.body();
    const begin = body.next(Buffer.from(text, "latin1"));
    return `${begin.toString("latin1")}${body.end().toString("latin1")}`;
  }

  /** Headers or trailers of an answer, also of an interim one, as Node reads them: name, value, name, value. */
  headers(rawHeaders: readonly string[]): string[] {
    return rawHeaders.map((text) => this.text(text));
  }

  /** A body on its way. */
  body(): BodyMask {
    return new BodyMask(this.#automaton);
  }
}

/**
 * Masks one body as it comes: what may be the begin of an echo waits for what follows, everything else goes on at once.
 * A body may be one of several messages: an echo that goes on in the next one is masked from its eighth byte.
 */
export class BodyMask {
  readonly #automaton: EchoAutomaton;
  #state = 0;
  #held: Buffer = Buffer.alloc(0);

  constructor(automaton: EchoAutomaton) {
    this.#automaton = automaton;
  }

  /** What may go on now that this came. */
  next(chunk: Buffer): Buffer {
    const before = this.#held.length;
    let bytes = before === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let own = before !== 0;
    // The far side's chunk is not ours to write to; few chunks have anything to mask.
    const mask = (begin: number, end: number): void => {
      if (!own) bytes = Buffer.from(bytes);
      own = true;
      bytes.fill(STAR, Math.max(0, begin), end);
    };
    this.#state = this.#automaton.scan(bytes, before, this.#state, mask);
    const free = Math.max(0, bytes.length - this.#automaton.pending(this.#state));
    this.#held = bytes.subarray(free);
    return bytes.subarray(0, free);
  }

  /** What was held back, when the body or message is over. */
  end(): Buffer {
    const held = this.#held;
    this.#held = Buffer.alloc(0);
    return this.#automaton.pending(this.#state) < CUT_OFF ? held : Buffer.alloc(held.length, STAR);
  }
}

const masks = new Map<string, AnswerMask>();

/** The mask of the secrets that are bound to a host; made once for the same values. */
export async function answerMask(bound: readonly BoundSecret[]): Promise<AnswerMask> {
  const values = await valuesOf(bound);
  const basic = await valuesOf(bound.filter(({ header }) => header === BASIC_HEADER));
  const key = JSON.stringify([values, basic]);
  const mask = masks.get(key) ?? new AnswerMask(values, basic);
  masks.delete(key);
  masks.set(key, mask);
  const [oldest] = masks.keys();
  if (masks.size > KEPT_MASKS && oldest !== undefined) masks.delete(oldest);
  return mask;
}

async function valuesOf(bound: readonly BoundSecret[]): Promise<string[]> {
  return [...new Set(await Promise.all(bound.map((secret) => secret.value())))].sort();
}

/** Drops every mask that was made; called when a value changes. */
export function forgetMasks(): void {
  masks.clear();
}
