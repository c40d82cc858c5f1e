/** What a machine's record keeps of notices: each cut to a length, and the newest of them. */
const limits = { characters: 1000, notices: 100 } as const;

/** Notices of a machine's record with more behind them; paths make them as long as paths can be, so they are cut. */
export function keptNotices(before: readonly string[], more: readonly string[]): string[] {
  const cut = (text: string): string =>
    text.length <= limits.characters ? text : `${text.slice(0, limits.characters - 1)}\u2026`;
  return [...before, ...more.map(cut)].slice(-limits.notices);
}
