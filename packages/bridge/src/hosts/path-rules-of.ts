import { LINUX_PATHS } from "./linux/path-rules.ts";
import { MACOS_PATHS } from "./macos/path-rules.ts";
import type { PathRules } from "./path-rules.ts";
import { WINDOWS_PATHS } from "./windows/path-rules.ts";

/** The rules of paths of a host. */
export function pathRulesOf(platform: NodeJS.Platform): PathRules {
  if (platform === "darwin") return MACOS_PATHS;
  return platform === "win32" ? WINDOWS_PATHS : LINUX_PATHS;
}
