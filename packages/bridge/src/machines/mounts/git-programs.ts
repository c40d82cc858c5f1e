import { isAbsolute, join, normalize, relative } from "node:path";

/** One setting of a git config. */
export interface GitSetting {
  /** Section and name in lower case, the subsection as written. */
  readonly key: string;
  readonly value: string;
}

// Settings whose value names a program, or a file with more settings, that git on the host would use.
const NAMES_A_FILE =
  /^(?:include\.path|includeif\..*\.path|core\.(?:hookspath|fsmonitor|editor|pager|sshcommand|askpass|gitproxy|alternaterefscommand)|credential(?:\..*)?\.helper|diff\.external|diff\..*\.(?:command|textconv)|merge\..*\.driver|(?:merge|diff)tool\..*\.(?:cmd|path)|filter\..*\.(?:clean|smudge|process)|gpg(?:\..*)?\.program|gpg\.ssh\.defaultkeycommand|sequence\.editor|interactive\.difffilter|pager\..*|alias\..*|trailer\..*\.(?:command|cmd)|remote\..*\.(?:uploadpack|receivepack|vcs)|submodule\..*\.update|hook\..*\.command|gc\.recentobjectshook|uploadpack\.packobjectshook|browser\..*\.cmd|sendemail\..*cmd)$/;

/** Parses the output of `git config --list -z`. */
export function parseSettings(output: string): GitSetting[] {
  return output.split("\0").flatMap((entry) => {
    if (entry === "") return [];
    const end = entry.indexOf("\n");
    return [{ key: end < 0 ? entry : entry.slice(0, end), value: end < 0 ? "" : entry.slice(end + 1) }];
  });
}

/**
 * Paths inside a repo that a git config names as programs or further settings, relative to the repo. Git resolves
 * includes from the config's folder, everything else from the work tree; whether the paths exist is not looked at.
 */
export function namedPaths(settings: readonly GitSetting[], repo: string, gitFolder: string): string[] {
  const found = settings.flatMap(({ key, value }) => {
    if (!NAMES_A_FILE.test(key.toLowerCase())) return [];
    const include = key.toLowerCase().startsWith("include");
    const words = include || key.toLowerCase() === "core.hookspath" ? [value] : wordsOf(value);
    return words.flatMap((word) => inRepo(word, repo, include ? gitFolder : ""));
  });
  return [...new Set(found)];
}

function wordsOf(value: string): string[] {
  return value
    .replace(/^!/, "")
    .split(/[\s"';&|]+/)
    .filter((word) => word.includes("/") || word.includes("."));
}

function inRepo(word: string, repo: string, from: string): string[] {
  if (word === "" || word.startsWith("~")) return [];
  const path = isAbsolute(word) ? relative(repo, word) : normalize(join(from, word));
  const outside = path === "" || path === "." || path === ".." || path.startsWith("../") || isAbsolute(path);
  return outside ? [] : [path.replace(/\/+$/, "")];
}
