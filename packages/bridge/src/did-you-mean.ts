/** Longest name that is compared with others. */
const LONGEST = 100;

/** What a message about an unknown name ends with: the name that was probably meant, or nothing. */
export function didYouMean(given: string, known: Iterable<string>): string {
  const nearest = nearestName(given, known);
  return nearest === undefined ? "" : `; did you mean "${nearest}"?`;
}

/** The known name that lies nearest: one that differs in case or by a few slips, or the only one that begins so. */
export function nearestName(given: string, known: Iterable<string>): string | undefined {
  if (given === "" || given.length > LONGEST) return undefined;
  const names = [...known].filter((name) => name.length <= LONGEST);
  const allowed = Math.max(1, Math.floor(given.length / 4));
  const ranked = names
    .map((name) => ({ name, slips: slipsBetween(given.toLowerCase(), name.toLowerCase()) }))
    .filter(({ slips }) => slips <= allowed && slips < given.length)
    .sort((one, other) => one.slips - other.slips);
  if (ranked[0] !== undefined) return ranked[0].name;
  const longer = given.length < 3 ? [] : names.filter((name) => name.startsWith(given));
  return longer.length === 1 ? longer[0] : undefined;
}

/** How many letters were left out, added, mistaken or exchanged with their neighbour. */
function slipsBetween(one: string, other: string): number {
  let before: number[] = [];
  let above = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let row = 1; row <= one.length; row += 1) {
    const here = [row];
    for (let at = 1; at <= other.length; at += 1) {
      const same = one[row - 1] === other[at - 1] ? 0 : 1;
      let least = Math.min((above[at] ?? 0) + 1, (here[at - 1] ?? 0) + 1, (above[at - 1] ?? 0) + same);
      const exchanged = one[row - 1] === other[at - 2] && one[row - 2] === other[at - 1];
      if (row > 1 && at > 1 && exchanged) least = Math.min(least, (before[at - 2] ?? 0) + 1);
      here.push(least);
    }
    [before, above] = [above, here];
  }
  return above[other.length] ?? 0;
}
