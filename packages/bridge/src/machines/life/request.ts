import { DoorwardError, durationSeconds, type UpRequest } from "@doorward/contracts";
import { freeRange } from "./id-ranges.ts";
import { freshId, machineName } from "./names.ts";
import type { HeldPath } from "../../policy/index.ts";
import type { LifeContext, MachinePolicy } from "./ports.ts";
import type { MachineRecord } from "./record.ts";

/** A request that policy allowed: its repos are held, its profile is known. */
export interface AllowedRequest {
  readonly request: UpRequest;
  readonly profile: MachineRecord["profile"];
  readonly repos: readonly HeldPath[];
}

/** Judges and holds every repo of a request; what was held is let go when one is refused. */
export async function allowRequest(context: LifeContext, request: UpRequest): Promise<AllowedRequest> {
  const profile = tailored(context, request);
  context.secrets.check(profile.secrets);
  const repos: HeldPath[] = [];
  try {
    for (const { path, access = profile.mounts.defaultAccess } of request.repos) {
      repos.push(await context.policy.holdRepo(path, { profile: profile.name, access }));
    }
    refuseDoubles(repos);
    return { request, profile, repos };
  } catch (error) {
    await letGo(repos);
    throw error;
  }
}

/** Closes the descriptors of held repos. */
export async function letGo(repos: readonly HeldPath[]): Promise<void> {
  for (const repo of repos) await repo[Symbol.asyncDispose]();
}

/** A new machine's record, stored before anything of it exists. */
export function newRecord(context: LifeContext, allowed: AllowedRequest, subject: string): MachineRecord {
  const { request, profile, repos } = allowed;
  const known = context.records.list();
  const [first] = repos;
  if (first === undefined)
    throw new DoorwardError({ code: "INPUT_INVALID", message: "Cannot launch: no repo was named" });
  const names = new Set(known.map((record) => record.name));
  return {
    id: freshId("m"),
    name: request.name ?? machineName(first.resolved, names),
    state: "launching",
    stateReason: null,
    profile,
    subject,
    repos: repos.map(({ resolved, access }) => ({
      hostPath: resolved,
      machinePath: "/workspace",
      access: request.review === true ? "rw" : access,
      review: request.review === true,
      clone: null,
      base: null,
    })),
    hide: request.hide ?? [],
    imageName: profile.image.name,
    image: null,
    timeToLiveSeconds: durationSeconds(request.timeToLive ?? profile.timeToLive),
    idRange: freeRange(known.map((record) => record.idRange)),
    containerId: null,
    createdAt: new Date(context.clocks.wall()).toISOString(),
    lease: null,
    fingerprint: null,
    evidence: null,
    notices: [],
    protections: [],
    listed: [],
  };
}

/**
 * Whether an existing machine is what a request asks for: the same repos in the same way, and the same profile but for
 * its agent-tool door, which no launch depends on.
 */
export function fits(record: MachineRecord, allowed: AllowedRequest): boolean {
  const { request, profile, repos } = allowed;
  const wanted = repos.map(
    ({ resolved, access }) => `${request.review === true ? "review" : access} ${resolved}`,
  );
  const there = record.repos.map(
    ({ hostPath, access, review }) => `${review ? "review" : access} ${hostPath}`,
  );
  return (
    record.removing !== true &&
    (request.name === undefined || request.name === record.name) &&
    JSON.stringify(withTools(profile, undefined)) === JSON.stringify(withTools(record.profile, undefined)) &&
    JSON.stringify(wanted) === JSON.stringify(there) &&
    JSON.stringify(request.hide ?? []) === JSON.stringify(record.hide)
  );
}

/** A profile as a machine of it is launched again: with the agent-tool door that it has in the policy by now. */
export function withToolsInForce(
  policy: Pick<MachinePolicy, "profile">,
  profile: MachineRecord["profile"],
): MachineRecord["profile"] {
  try {
    return withTools(profile, policy.profile(profile.name).doors["agent-tool"]);
  } catch (error) {
    if (error instanceof DoorwardError && error.code === "PROFILE_NOT_FOUND") return profile;
    throw error;
  }
}

function withTools(
  profile: MachineRecord["profile"],
  door: MachineRecord["profile"]["doors"]["agent-tool"],
): MachineRecord["profile"] {
  const { "agent-tool": _before, ...doors } = profile.doors;
  return { ...profile, doors: { ...doors, ...(door === undefined ? {} : { "agent-tool": door }) } };
}

/** The profile as this request changes it: another image, more secrets, or a home in memory. */
function tailored(context: LifeContext, request: UpRequest): MachineRecord["profile"] {
  const profile = context.policy.profile(request.profile ?? "default");
  const image = request.image === undefined ? profile.image : { ...profile.image, name: request.image };
  const secrets = [...profile.secrets, ...(request.secrets ?? [])];
  return { ...profile, image, secrets, home: request.temporary === true ? "tmpfs" : profile.home };
}

function refuseDoubles(repos: readonly HeldPath[]): void {
  for (const [at, { resolved }] of repos.entries()) {
    if (repos.findIndex((repo) => repo.resolved === resolved) !== at) {
      throw new DoorwardError({
        code: "INPUT_INVALID",
        message: `Cannot launch: repo "${resolved}" is named twice`,
      });
    }
  }
}
