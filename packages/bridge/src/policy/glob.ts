/** A glob over paths relative to a repo. */
export interface Glob {
  readonly text: string;
  /** What is wrong with it; a wrong glob matches nothing. */
  readonly problem: string | null;
  /** Whether a path with forward slashes and no leading one matches. */
  matches(path: string): boolean;
}

/**
 * Compiles a glob in the manner of gitignore: without an inner slash it fits a name at any depth, with one it is
 * relative to the repo; `*` and `?` stay within a name, `**` crosses folders, `[a-z]` is a set. Linear in the path.
 */
export function compileGlob(text: string): Glob {
  const problem = globProblem(text);
  if (problem !== null) return { text, problem, matches: () => false };
  const body = text.replace(/^\//, "").replace(/\/+$/, "");
  const anchored = text.startsWith("/") || body.includes("/");
  const segments = anchored ? body.split("/") : ["**", body];
  const matchers = segments.map((segment) => (segment === "**" ? null : nameMatcher(segment)));
  return { text, problem: null, matches: (path) => fits(matchers, path.split("/")) };
}

type NameMatcher = (name: string) => boolean;

/** Segments with `**` (null) as the one kind that spans several names; the usual two-pointer walk, no backtracking tree. */
function fits(matchers: readonly (NameMatcher | null)[], names: readonly string[]): boolean {
  let [at, name, star, resume] = [0, 0, -1, 0];
  while (name < names.length) {
    const matcher = matchers[at];
    if (matcher === null) {
      [star, resume] = [at, name];
      at += 1;
    } else if (matcher?.(names[name] ?? "") === true) {
      at += 1;
      name += 1;
    } else if (star >= 0) {
      resume += 1;
      [at, name] = [star + 1, resume];
    } else return false;
  }
  // `a/**` fits what lies in `a`, not `a` itself, so a trailing `**` needs nothing more only after one name.
  while (matchers[at] === null) at += 1;
  return at === matchers.length;
}

type Token = "*" | ((character: string) => boolean);

function nameMatcher(segment: string): NameMatcher {
  const tokens = tokensOf(segment);
  return (name) => fitsName(tokens, Array.from(name));
}

function fitsName(tokens: readonly Token[], name: readonly string[]): boolean {
  let [at, index, star, resume] = [0, 0, -1, 0];
  while (index < name.length) {
    const token = tokens[at];
    if (token === "*") {
      [star, resume] = [at, index];
      at += 1;
    } else if (token?.(name[index] ?? "") === true) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      resume += 1;
      [at, index] = [star + 1, resume];
    } else return false;
  }
  while (tokens[at] === "*") at += 1;
  return at === tokens.length;
}

function tokensOf(segment: string): Token[] {
  const pieces = segment.match(/\[[!^]?\]?[^\]]*\]|\\.|[^]/gu) ?? [];
  return pieces.map((piece): Token => {
    if (piece === "*") return "*";
    if (piece === "?") return () => true;
    if (piece.length > 1 && piece.startsWith("[")) return setOf(piece.slice(1, -1));
    const literal = piece.length > 1 && piece.startsWith("\\") ? piece.slice(1) : piece;
    return (character) => character === literal;
  });
}

function setOf(body: string): (character: string) => boolean {
  const negated = /^[!^]/.test(body);
  const ranges = (negated ? body.slice(1) : body).match(/[^]-[^]|[^]/gu) ?? [];
  return (character) => {
    const found = ranges.some((range) => {
      const [low = "", dash, high] = Array.from(range);
      return dash === undefined || high === undefined
        ? character === low
        : character >= low && character <= high;
    });
    return found !== negated;
  };
}

function globProblem(text: string): string | null {
  if (text.trim() === "" || /^[/*]+$/.test(text)) return `"${text}" would fit everything`;
  if (text.startsWith("!")) return `"${text}" starts with "!", which is not understood`;
  if (text.split("/").some((name) => name === ".." || name === "."))
    return `"${text}" has a "." or ".." in it`;
  if (/[\u0000-\u001f\u007f]/.test(text)) return `"${text}" has a control character`;
  return null;
}
