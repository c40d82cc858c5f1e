/** What a host takes for a path in its normal form, and which names mean the same file. */
export interface PathRules {
  /** The names of an absolute path, or what is wrong with it. */
  split(path: string): { readonly names: readonly string[] } | { readonly problem: string };
  /** The form in which names are compared. */
  key(name: string): string;
}

/** The names of a path beneath a root; null when it lies elsewhere. Both are in their normal form. */
export function beneathRoot(
  rules: PathRules,
  root: readonly string[],
  path: readonly string[],
): readonly string[] | null {
  if (path.length < root.length) return null;
  const same = root.every((name, index) => rules.key(name) === rules.key(path[index] ?? ""));
  return same ? path.slice(root.length) : null;
}
