import { win32 } from "node:path";

/** Where the hosts file of a host is. */
export function hostsPathOf(
  platform: NodeJS.Platform,
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (platform !== "win32") return "/etc/hosts";
  const system = env["SystemRoot"] ?? "C:\\Windows";
  return win32.join(system, "System32", "drivers", "etc", "hosts");
}
