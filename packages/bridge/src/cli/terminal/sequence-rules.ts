/** What becomes of one control sequence. Everything that no rule names is dropped. */
export type Verdict =
  | { readonly kind: "pass"; readonly text: string }
  /** The terminal will answer with numbers only; passes where answers are read by us. */
  | { readonly kind: "query"; readonly text: string }
  /** Answered here with a constant, so that the terminal need not be asked. */
  | { readonly kind: "answer"; readonly text: string }
  | { readonly kind: "drop" };

/** A CSI sequence taken apart. */
export interface CsiSequence {
  readonly prefix: string;
  readonly params: string;
  readonly intermediates: string;
  readonly final: string;
}

const drop: Verdict = { kind: "drop" };

/**
 * DEC private modes that a program may switch. Left out on purpose: 2 (another character set, where our check of
 * UTF-8 would not hold), 3 (resizes the window), 1001 (waits for an answer), 2048 (unasked reports).
 */
const PRIVATE_MODES: ReadonlySet<number> = new Set([
  1, 5, 6, 7, 9, 12, 25, 45, 47, 66, 69, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 1047, 1048,
  1049, 2004, 2026,
]);

/** Plain CSI sequences: cursor, erase, insert, scroll, tabs, margins, colours, save and restore of the cursor. */
const PLAIN_FINALS = new Set("@ABCDEFGHIJKLMPSXZ`abdefgmrsu");

/** Judges a CSI sequence. */
export function judgeCsi(sequence: CsiSequence): Verdict {
  if (/[0-9]{6}/.test(sequence.params)) return drop;
  if (sequence.intermediates !== "") return judgeWithIntermediates(sequence);
  if (sequence.prefix === "?") return judgePrivate(sequence);
  if (sequence.prefix !== "") return judgeExtended(sequence);
  return judgePlain(sequence);
}

function judgePlain(sequence: CsiSequence): Verdict {
  const { params, final } = sequence;
  if (PLAIN_FINALS.has(final)) return pass(sequence);
  if (final === "T") return params.includes(";") ? drop : pass(sequence);
  if (final === "h" || final === "l") return params === "4" || params === "20" ? pass(sequence) : drop;
  if (final === "n" && params === "5") return { kind: "answer", text: "\u001b[0n" };
  if (final === "n" && params === "6") return { kind: "query", text: textOf(sequence) };
  if (final === "c" && (params === "" || params === "0")) return { kind: "answer", text: "\u001b[?62;22c" };
  return drop;
}

function judgePrivate(sequence: CsiSequence): Verdict {
  const { params, final } = sequence;
  if (final === "J" || final === "K") return pass(sequence);
  if (final === "u" && params === "") return { kind: "query", text: textOf(sequence) };
  if (final !== "h" && final !== "l") return drop;
  const kept = params
    .split(";")
    .filter((mode) => /^[0-9]{1,5}$/.test(mode) && PRIVATE_MODES.has(Number(mode)));
  return kept.length === 0 ? drop : pass({ ...sequence, params: kept.map(Number).join(";") });
}

/** Keyboard protocols: how keys are encoded says nothing of the host. */
function judgeExtended(sequence: CsiSequence): Verdict {
  const { prefix, params, final } = sequence;
  if (final === "u" && /^[0-9]{0,3}(?:;[0-9])?$/.test(params)) return pass(sequence);
  if (prefix === ">" && final === "m" && /^4(?:;[0-9])?$/.test(params)) return pass(sequence);
  return drop;
}

function judgeWithIntermediates(sequence: CsiSequence): Verdict {
  const { prefix, params, intermediates, final } = sequence;
  if (prefix === "" && intermediates === " " && final === "q") return pass(sequence);
  if (prefix === "" && intermediates === "!" && final === "p" && params === "") return pass(sequence);
  const asksMode = prefix === "?" && intermediates === "$" && final === "p";
  if (asksMode && /^[0-9]{1,5}$/.test(params) && PRIVATE_MODES.has(Number(params))) {
    return { kind: "query", text: textOf(sequence) };
  }
  return drop;
}

/** Judges an escape sequence that is neither CSI nor a string. */
export function judgeEscape(intermediates: string, final: string): Verdict {
  const text = `\u001b${intermediates}${final}`;
  if (intermediates === "") return "78=>cDEHMNO".includes(final) ? { kind: "pass", text } : drop;
  const designatesCharset = /^[()*+]$/.test(intermediates) && /^[0-9A-K]$/.test(final);
  return designatesCharset || text === "\u001b#8" ? { kind: "pass", text } : drop;
}

/** Longest link that passes, in bytes. */
const MAX_LINK = 2048;

/** Judges an operating system command: only links to web pages pass, without anything else that could ride along. */
export function judgeOsc(body: string): Verdict {
  const link = /^8;([^;]*);(.*)$/s.exec(body);
  if (link === null) return drop;
  const [, params = "", target = ""] = link;
  if (target === "") return { kind: "pass", text: "\u001b]8;;\u001b\\" };
  if (target.length > MAX_LINK || !/^https?:\/\/[\u0021-\u007e]+$/.test(target)) return drop;
  const id = /(?:^|:)(id=[A-Za-z0-9._-]{1,64})(?::|$)/.exec(params)?.[1] ?? "";
  return { kind: "pass", text: `\u001b]8;${id};${target}\u001b\\` };
}

function pass(sequence: CsiSequence): Verdict {
  return { kind: "pass", text: textOf(sequence) };
}

function textOf({ prefix, params, intermediates, final }: CsiSequence): string {
  return `\u001b[${prefix}${params}${intermediates}${final}`;
}
