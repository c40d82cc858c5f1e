import { WINDOWS_PATHS } from "./path-rules.ts";

const PROGRAM = /\.(?:exe|com)$/i;

/**
 * Why a program may not be run on Windows; null when it may. Batch files are run by a shell whatever starts them, and
 * its quoting has no safe form; scripts are opened by whatever program is registered for them.
 */
export function windowsProgramProblem(path: string): string | null {
  const split = WINDOWS_PATHS.split(path);
  if ("problem" in split) return split.problem;
  if (/\.(?:cmd|bat)$/i.test(path)) return "a batch file is always run by a shell";
  return PROGRAM.test(path) ? null : "only .exe and .com files are programs";
}

/** Environment keys are one key in any case there; the first spelling of doubles, or null when there is none. */
export function doubledEnvironmentKey(keys: readonly string[]): string | null {
  const seen = new Set<string>();
  for (const key of keys) {
    if (seen.has(key.toUpperCase())) return key;
    seen.add(key.toUpperCase());
  }
  return null;
}
