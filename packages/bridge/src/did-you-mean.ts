import damerauLevenshtein from "damerau-levenshtein";

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
    .map((name) => ({ name, slips: damerauLevenshtein(given.toLowerCase(), name.toLowerCase()).steps }))
    .filter(({ slips }) => slips <= allowed && slips < given.length)
    .sort((one, other) => one.slips - other.slips);
  if (ranked[0] !== undefined) return ranked[0].name;
  const longer = given.length < 3 ? [] : names.filter((name) => name.startsWith(given));
  return longer.length === 1 ? longer[0] : undefined;
}
