import type { HeldPath } from "../../policy/index.ts";
import type { RepoToMount } from "../mounts/index.ts";
import { holdReviewClone } from "../review/index.ts";
import { launch, type Asker, type Launched, type LaunchRequest } from "./launch.ts";
import type { LifeContext } from "./ports.ts";
import type { MachineRecord } from "./record.ts";
import { refuseNumber } from "./refusals.ts";
import { letGo } from "./request.ts";

/** Makes the private clones of a review machine, and stores where they are. */
export async function cloneForReview(
  context: LifeContext,
  record: MachineRecord,
  held: readonly HeldPath[],
  asker: Asker,
): Promise<MachineRecord> {
  asker.progress({ step: "Cloning for review" });
  const repos = [...record.repos];
  for (const [at, repo] of held.entries()) {
    const made = await context.reviews.create(record.id, at, repo);
    const recorded = repos[at];
    if (recorded !== undefined) repos[at] = { ...recorded, ...made };
  }
  const cloned = { ...record, repos };
  context.records.put(cloned);
  return cloned;
}

/** Launches a machine on repos that its caller holds, or on its clones of them. */
export async function launchHeld(
  context: LifeContext,
  record: MachineRecord,
  held: readonly HeldPath[],
  trigger: LaunchRequest["trigger"],
  asker: Asker,
): Promise<Launched> {
  const clones: HeldPath[] = [];
  try {
    const repos: RepoToMount[] = [];
    for (const [at, repo] of held.entries()) {
      const clone = record.repos[at]?.clone ?? null;
      if (clone === null) repos.push({ held: repo });
      else {
        const inside = await holdReviewClone(clone);
        clones.push(inside);
        repos.push({ held: inside, hostPath: repo.resolved, clone: true });
      }
    }
    return await launch(context, { record, repos, trigger, ...asker });
  } finally {
    await letGo(clones);
  }
}

/** Launches a stopped machine again, as `changed`; it is again what it was, without a container, when that fails. */
export async function relaunch(
  context: LifeContext,
  previous: MachineRecord,
  changed: MachineRecord,
  asker: Asker,
): Promise<Launched> {
  const held: HeldPath[] = [];
  try {
    for (const { hostPath, access, review } of changed.repos) {
      const ask = { profile: changed.profile.name, access: review ? ("ro" as const) : access };
      held.push(await context.policy.holdRepo(hostPath, ask));
    }
    refuseNumber(context);
    const launching: MachineRecord = { ...changed, state: "launching", stateReason: null };
    context.records.put(launching);
    return await launchHeld(context, launching, held, "start", asker);
  } catch (error) {
    context.records.put({ ...previous, containerId: null });
    throw error;
  } finally {
    await letGo(held);
  }
}
