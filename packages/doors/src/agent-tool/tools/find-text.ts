/** Longer texts are searched for in linear time; `indexOf` is faster, but takes hours for hostile long ones. */
const SHORT_CHARS = 64;

/** Places where a text stands in another, ascending; the next one is looked for `step` characters after each. */
export function* occurrences(text: string, wanted: string, step: number): Generator<number> {
  if (wanted.length > SHORT_CHARS) {
    yield* linear(text, wanted, step);
    return;
  }
  for (let at = text.indexOf(wanted); at !== -1; at = text.indexOf(wanted, at + step)) yield at;
}

/** Knuth, Morris and Pratt's search. */
function* linear(text: string, wanted: string, step: number): Generator<number> {
  const borders = bordersOf(wanted);
  let matched = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    while (matched > 0 && unit !== wanted.charCodeAt(matched)) matched = borders[matched - 1] ?? 0;
    if (unit === wanted.charCodeAt(matched)) matched += 1;
    if (matched < wanted.length) continue;
    const start = at + 1 - wanted.length;
    if (start >= from) {
      yield start;
      from = start + step;
    }
    matched = borders[matched - 1] ?? 0;
  }
}

/** For each beginning of a text, how long its longest proper beginning is that it also ends with. */
function bordersOf(wanted: string): Int32Array {
  const borders = new Int32Array(wanted.length);
  let length = 0;
  for (let at = 1; at < wanted.length; at += 1) {
    while (length > 0 && wanted.charCodeAt(at) !== wanted.charCodeAt(length))
      length = borders[length - 1] ?? 0;
    if (wanted.charCodeAt(at) === wanted.charCodeAt(length)) length += 1;
    borders[at] = length;
  }
  return borders;
}
