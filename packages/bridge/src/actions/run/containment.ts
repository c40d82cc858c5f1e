import { runCommand } from "../../hosts/linux/run-command.ts";
import { hostFailure } from "../failures.ts";
import { makeCgroups } from "./cgroup.ts";

/** How everything that a program starts is held together, so that it can be ended together. */
export type Containment =
  | { readonly kind: "cgroup"; readonly folders: readonly string[] }
  | { readonly kind: "pid-namespace"; readonly prefix: readonly string[] };

/** Ways of holding processes together, in the order of preference. */
export const CONTAINMENTS = ["cgroup", "pid-namespace"] as const;

const NAMESPACE = ["--pid", "--fork", "--kill-child", "--mount-proc"];
const UNSHARE = "/usr/bin/unshare";
/** Programs whose own records name processes of the host: in another namespace they would take all of those for dead. */
const NEEDS_HOST_PROCESSES: ReadonlySet<string> = new Set(["podman", "podman-remote", "buildah", "conmon"]);

let namespaces: Promise<boolean> | null = null;

/**
 * Chooses how a program is held: a cgroup where one may be made (as root, or in a delegated part of the tree), else a
 * process namespace. Throws an ActionError with OS_ERROR where neither is possible: nothing runs that could outlive us.
 */
export async function contain(
  program: string,
  allowed: readonly Containment["kind"][],
): Promise<Containment> {
  const folders = allowed.includes("cgroup") ? makeCgroups() : null;
  if (folders !== null) return { kind: "cgroup", folders };
  const name = program.slice(program.lastIndexOf("/") + 1);
  if (NEEDS_HOST_PROCESSES.has(name))
    throw hostFailure(
      `Cannot run "${program}": it needs the host's own processes, and no cgroup may be made here; start the bridge in a delegated cgroup, e.g. with systemd-run --user --scope`,
    );
  if (!allowed.includes("pid-namespace") || !(await (namespaces ??= canUnshare())))
    throw hostFailure(
      `Cannot run "${program}": this host lets the bridge make neither a cgroup nor a process namespace, so what the program starts could outlive it`,
    );
  return { kind: "pid-namespace", prefix: unshareCommand() };
}

async function canUnshare(): Promise<boolean> {
  const [file = UNSHARE, ...args] = unshareCommand();
  return (await runCommand(file, [...args, "/usr/bin/true"], { env: {} })).code === 0;
}

function unshareCommand(): readonly string[] {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-current-user"];
  return [UNSHARE, ...user, ...NAMESPACE, "--"];
}
