import type { HeldPath } from "../../policy/index.ts";
import type { Protections } from "./protections.ts";
import type { RepoScan } from "./scan-repo.ts";

/** One folder of the host that is mounted, and what was found and decided of it. */
export interface MountArea {
  readonly held: HeldPath;
  readonly hostPath: string;
  readonly target: string;
  readonly writable: boolean;
  readonly guarded: boolean;
  readonly scan: RepoScan;
  readonly protections: Protections;
  readonly worktree: { readonly gitFolder: string; readonly commonFolder: string } | null;
}

/** What a careful user should know of a mounted folder. */
export function noticesOf({ target, scan, guarded, protections, held, worktree }: MountArea): string[] {
  const notices: string[] = [];
  const add = (when: boolean, text: string): void => {
    if (when) notices.push(text);
  };
  const names = protections.absent.filter((path) => !path.includes("/"));
  add(
    guarded && names.length > 0,
    `${target}: ${names.slice(0, 4).join(", ")} and other protected names are unprotected until they exist; new ones are reported at the end`,
  );
  add(scan.sockets.length > 0, `${target}: ${scan.sockets.length} sockets of the host are masked`);
  const nested = scan.gitNames.filter((path) => path !== ".git").length;
  add(guarded && nested > 0, `${target}: ${nested} .git files of submodules or worktrees are read-only`);
  add(
    held.access === "ro" && worktree === null && scan.gitNames.includes(".git"),
    `${target}: git does not work in it, its git folder is elsewhere`,
  );
  return notices;
}
