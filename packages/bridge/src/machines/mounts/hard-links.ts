import { DenialError } from "@doorward/contracts";
import { shellPath, shownPath } from "../../policy/index.ts";
import type { LinkedFile } from "./scan-repo.ts";

/** A writable mount as the check of hard links sees it. */
export interface LinkArea {
  readonly hostPath: string;
  readonly linked: ReadonlyMap<string, LinkedFile>;
  /** Whether a path of this mount is read-only or masked in the machine. */
  guarded(path: string): boolean;
}

interface Names {
  readonly area: LinkArea;
  readonly links: number;
  readonly guarded: string[];
  readonly open: string[];
}

/**
 * Refuses files that a machine could write through one name while another is out of its reach: outside its writable
 * mounts, or at a protected name. Writing a file changes it under all of its names.
 */
export function refuseHardLinks(areas: readonly LinkArea[]): void {
  const files = new Map<string, Names[]>();
  for (const area of areas) {
    for (const [key, { links, paths }] of area.linked) {
      const guarded = paths.filter((path) => area.guarded(path));
      const names = { area, links, guarded, open: paths.filter((path) => !guarded.includes(path)) };
      files.set(key, [...(files.get(key) ?? []), names]);
    }
  }
  const offences = [...files.values()].flatMap(offence);
  const [first] = offences;
  if (first !== undefined) throw refusal(first, offences);
}

interface Offence {
  readonly repo: string;
  readonly path: string;
  readonly why: string;
}

function offence(names: readonly Names[]): Offence[] {
  const writable = names.find(({ open }) => open.length > 0);
  const [path] = writable?.open ?? [];
  if (writable === undefined || path === undefined) return [];
  const seen = names.reduce((sum, { guarded, open }) => sum + guarded.length + open.length, 0);
  const repo = writable.area.hostPath;
  if (seen < writable.links) return [{ repo, path, why: "has a hard link outside the repo" }];
  const guarded = names.flatMap((each) => each.guarded)[0];
  return guarded === undefined
    ? []
    : [{ repo, path, why: `is a hard link of "${shownPath(guarded)}", which is protected` }];
}

function refusal(first: Offence, all: readonly Offence[]): DenialError {
  const more = all.length > 1 ? ` (and ${all.length - 1} more)` : "";
  return new DenialError({
    code: "HARDLINK_OUTSIDE",
    message: `Cannot mount "${shownPath(first.repo)}": "${shownPath(first.path)}" ${first.why}${more}`,
    rule: "policy.paths.hardlinks",
    hint: `doorward up --review ${shellPath(first.repo)}`,
    details: { repo: first.repo, files: all.slice(0, 20).map(({ path, why }) => ({ path, why })) },
  });
}
