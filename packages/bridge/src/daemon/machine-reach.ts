import type { Operation } from "@doorward/contracts";
import type { MachineReach, ReachedFolder } from "@doorward/doors";
import { covers } from "../grants/index.ts";
import type { MachineRecord } from "../machines/life/index.ts";

type Repos = MachineRecord["repos"];

/**
 * What of a machine's file system a grant on some host paths covers. Who runs commands there reaches all of it; others
 * reach the granted folders, writable only where the mount is and the grant holds `agent-tool.write`.
 */
export function machineReach(
  repos: Repos,
  granted: readonly string[],
  operations: readonly Operation[],
): MachineReach {
  const writes = operations.includes("agent-tool.write");
  const folders = repos.flatMap((repo) => reachedIn(repo, granted, writes));
  const narrowed = repos.some(({ hostPath }) => !covers(granted, hostPath));
  return {
    workdir: folders[0]?.path ?? repos[0]?.machinePath ?? "/workspace",
    folders: operations.includes("agent-tool.exec") ? [{ path: "/", access: "rw" }] : folders,
    narrowed,
  };
}

function reachedIn(repo: Repos[number], granted: readonly string[], writes: boolean): ReachedFolder[] {
  const access = writes ? repo.access : "ro";
  if (covers(granted, repo.hostPath)) return [{ path: repo.machinePath, access }];
  return granted
    .filter((path) => covers([repo.hostPath], path))
    .map((path) => ({ path: repo.machinePath + below(repo.hostPath, path), access }));
}

/** The rest of a path below a root, with its leading slash. */
function below(root: string, path: string): string {
  return root === "/" ? path : path.slice(root.length);
}
