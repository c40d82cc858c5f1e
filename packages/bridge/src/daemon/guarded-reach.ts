import type { MachineReach, ReachedFolder } from "@doorward/doors";
import type { MachineRecord } from "../machines/life/index.ts";
import { PROTECTED_IN_GIT, protectedForFiles } from "../policy/index.ts";

type Guarded = Pick<MachineRecord, "repos" | "protections" | "profile">;

/**
 * Adds to what is reached the names that file tools refuse in each folder whose names mounts protect. Mounts protect
 * those that exist; so new ones are refused too, for whoever runs commands as well, who can make them in another way.
 */
export function guardedReach(reach: MachineReach, record: Guarded, protect: readonly string[]): MachineReach {
  return { ...reach, folders: reach.folders.flatMap((folder) => guarded(folder, record, protect)) };
}

function guarded(folder: ReachedFolder, record: Guarded, protect: readonly string[]): ReachedFolder[] {
  if (folder.access === "ro") return [folder];
  const areas = record.protections.map(({ machinePath }) => machinePath);
  const around = areas.find((area) => folder.path === area || folder.path.startsWith(`${area}/`));
  if (around !== undefined) return [{ ...folder, protected: namesIn(folder.path, around, record, protect) }];
  const within = areas.filter((area) => folder.path === "/" || area.startsWith(`${folder.path}/`));
  return [
    folder,
    ...within.map((path) => ({
      ...{ path, access: folder.access },
      protected: namesIn(path, path, record, protect),
    })),
  ];
}

/** Names as they are seen from a folder of a protected area. */
function namesIn(
  folder: string,
  area: string,
  record: Guarded,
  protect: readonly string[],
): readonly string[] {
  const isRepo = record.repos.some(({ machinePath }) => machinePath === area);
  const names = isRepo ? protectedForFiles(protect, record.profile.isolation.relaxations) : PROTECTED_IN_GIT;
  if (folder === area) return names;
  const above = `${folder.slice(area.length + 1)}/`;
  return [
    ...names,
    ...names.filter((name) => name.startsWith(above)).map((name) => name.slice(above.length)),
  ];
}
