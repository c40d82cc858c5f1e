/** Variables by which the loader of macOS runs other code in a program; none may reach one. */
export function isMacosLoaderVariable(key: string): boolean {
  return /^(?:DYLD_|LD_|__XPC_DYLD_)/i.test(key);
}

/** Why a program may not be run on macOS; null when it may: a bundle is opened, not executed, and can open anything. */
export function macosProgramProblem(path: string): string | null {
  const opener = ["/usr/bin/open", "/usr/bin/osascript", "/usr/bin/automator", "/bin/launchctl"];
  if (opener.includes(path.toLowerCase())) return "it starts other programs";
  return /\.app\/?$/i.test(path) ? "a bundle is not a program" : null;
}
