import { runCommand } from "../../hosts/linux/run-command.ts";
import { hostFailure } from "../failures.ts";
import { makeCgroups } from "./cgroup.ts";

/** How everything that a program starts is held together, so that it can be ended together: by either, or by both. */
export interface Containment {
  /** Cgroups to enter; none where none may be made. */
  readonly cgroups: readonly string[];
  /** What starts a process namespace; empty without one. */
  readonly prefix: readonly string[];
}

/** Ways of holding processes together. */
export const CONTAINMENTS = ["cgroup", "pid-namespace"] as const;
export type ContainmentKind = (typeof CONTAINMENTS)[number];

const NAMESPACE = ["--pid", "--fork", "--kill-child", "--mount-proc"];
const UNSHARE = "/usr/bin/unshare";
/** Programs that look up processes of the host, some in records of their own: in a namespace all of those seem dead. */
const NEEDS_HOST_PROCESSES: ReadonlySet<string> = new Set(
  "podman podman-remote buildah conmon kill pkill killall pidof pgrep ps lsof fuser nginx apachectl apache2ctl".split(
    " ",
  ),
);

let namespaces: Promise<boolean> | null = null;

/**
 * Chooses how a program is held. A cgroup is enough for an ordinary user; root can write itself into another one, so its
 * programs are in a process namespace too. Where no cgroup may be made the namespace alone holds. Throws an ActionError
 * with OS_ERROR where neither is possible: nothing runs that could outlive us.
 */
export async function contain(program: string, allowed: readonly ContainmentKind[]): Promise<Containment> {
  const cgroups = (allowed.includes("cgroup") ? makeCgroups() : null) ?? [];
  const prefix = await namespaceFor(program, allowed, cgroups.length > 0);
  return { cgroups, prefix };
}

async function namespaceFor(
  program: string,
  allowed: readonly ContainmentKind[],
  held: boolean,
): Promise<readonly string[]> {
  const needsHost = NEEDS_HOST_PROCESSES.has(program.slice(program.lastIndexOf("/") + 1));
  if (held && (needsHost || process.getuid?.() !== 0)) return [];
  if (needsHost)
    throw hostFailure(
      `Cannot run "${program}": it needs the host's own processes, and no cgroup may be made here; start the bridge in a delegated cgroup, e.g. with systemd-run --user --scope`,
    );
  if (allowed.includes("pid-namespace") && (await (namespaces ??= canUnshare()))) return unshareCommand();
  if (held) return [];
  throw hostFailure(
    `Cannot run "${program}": this host lets the bridge make neither a cgroup nor a process namespace, so what the program starts could outlive it`,
  );
}

async function canUnshare(): Promise<boolean> {
  const [file = UNSHARE, ...args] = unshareCommand();
  return (await runCommand(file, [...args, "/usr/bin/true"], { env: {} })).code === 0;
}

function unshareCommand(): readonly string[] {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-current-user"];
  return [UNSHARE, ...user, ...NAMESPACE, "--"];
}
