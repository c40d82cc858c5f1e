/** One entry of a configuration file, as its client reads it. */
export type ConfigEntry = Readonly<Record<string, unknown>>;

/**
 * A kind of configuration file: how one entry of it is read, put in and taken out. Everything else of the file stays, to
 * the letter where the format allows that. All of them throw {@link UnreadableConfig} for text that is not of the format.
 */
export interface ConfigFormat {
  readonly name: string;
  /** The entry at a path; undefined where there is none. */
  get(text: string, path: readonly string[]): unknown;
  /** The text with an entry put in, or replaced. */
  set(text: string, path: readonly string[], entry: ConfigEntry): string;
  /** The text without an entry; with `prune` also without the tables around it that are left empty. */
  remove(text: string, path: readonly string[], prune: boolean): string;
  /** Whether nothing is left in it. */
  isEmpty(text: string): boolean;
}

/** A configuration file that can't be edited: where, and why. */
export class UnreadableConfig extends Error {
  override readonly name = "UnreadableConfig";
}

/** What is at a path of a parsed document. */
export function valueAt(document: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? Reflect.get(value, key)
        : undefined,
    document,
  );
}

/** How many of a path's keys stay when those around its end are dropped that are left empty. */
export function keptKeys(document: unknown, path: readonly string[]): number {
  let kept = path.length - 1;
  while (kept > 0 && isHollow(valueAt(document, path.slice(0, kept)))) kept -= 1;
  return kept;
}

/** Whether a parsed document has no entries, or only empty tables of them. */
export function isHollow(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === "object" && !Array.isArray(value) && Object.values(value).every(isHollow);
}
