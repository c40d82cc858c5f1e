import { isMacosLoaderVariable, macosProgramProblem } from "./macos/process-rules.ts";
import { doubledEnvironmentKey, windowsProgramProblem } from "./windows/process-rules.ts";

/** What a host takes for a program, and what in an environment is dangerous there. */
export interface ProcessRules {
  /** Why a file may not be run as a program; null when it may. */
  programProblem(path: string): string | null;
  /** The keys of a request that may not be set together, or at all, on this host. */
  deniedKeys(keys: readonly string[]): readonly string[];
}

const LINUX: ProcessRules = { programProblem: () => null, deniedKeys: () => [] };

const MACOS: ProcessRules = {
  programProblem: macosProgramProblem,
  deniedKeys: (keys) => keys.filter(isMacosLoaderVariable),
};

const WINDOWS: ProcessRules = {
  programProblem: windowsProgramProblem,
  deniedKeys: (keys) => {
    const doubled = doubledEnvironmentKey(keys);
    return doubled === null ? [] : [doubled];
  },
};

/** The rules of processes of a host; those of Linux stand in the judge itself. */
export function processRulesOf(platform: NodeJS.Platform): ProcessRules {
  if (platform === "darwin") return MACOS;
  return platform === "win32" ? WINDOWS : LINUX;
}
