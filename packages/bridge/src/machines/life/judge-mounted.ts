import type { LifeContext } from "./ports.ts";
import type { MachineRecord } from "./record.ts";

/**
 * Judges everything of the host that a machine was given by the policy in force now, and throws the refusal: its profile,
 * its repos, and the common git folder that a linked worktree brought along.
 */
export async function judgeMounted(context: LifeContext, record: MachineRecord): Promise<void> {
  const { policy } = context;
  policy.profile(record.profile.name);
  for (const [path, access] of mountedPaths(record)) {
    const held = await policy.holdRepo(path, { profile: record.profile.name, access });
    await held[Symbol.asyncDispose]();
  }
}

/** Host paths with their access. A review machine has clones of Doorward's own, which stand for repos that were read. */
function mountedPaths({ repos, fingerprint }: MachineRecord): ReadonlyMap<string, "ro" | "rw"> {
  const paths = new Map(repos.map(({ hostPath, access, review }) => [hostPath, review ? "ro" : access]));
  if (repos.some(({ review }) => review)) return paths;
  for (const { role, source, access } of fingerprint?.inputs.mounts ?? []) {
    if (role === "repo") paths.set(source, access);
  }
  return paths;
}
