import { fileURLToPath } from "node:url";
import { runsFromSource } from "../build-id.ts";

/**
 * A bridge is idle most of the time: with V8's own choice its young generation alone keeps some 40 MiB after a launch, and
 * nothing collects what was left behind until somebody asks (`collectWhenQuiet`). With so small a young generation most of
 * what a call leaves becomes old; by itself V8 lets the old one grow to several times of what is used before it looks.
 */
const MEMORY = ["--max-semi-space-size=2", "--heap-growing-percent=30", "--expose-gc"];

/** The program and arguments that run the bridge: the same Node, from sources when this command runs from sources. */
export function daemonCommand(): { readonly program: string; readonly args: readonly string[] } {
  const source = runsFromSource();
  const entry = fileURLToPath(new URL(source ? "../daemon/main.ts" : "../daemon/main.js", import.meta.url));
  const loader = source ? ["--conditions=source", "--import", import.meta.resolve("tsx")] : [];
  return { program: process.execPath, args: [...MEMORY, ...loader, entry] };
}

/** The bridge's environment: the caller's, without a grant's token. */
export function daemonEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return { ...env, DOORWARD_TOKEN: undefined, DOORWARD_URL: undefined };
}
