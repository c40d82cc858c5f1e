import { DoorwardError, toDoorwardError, type HostFacts } from "@doorward/contracts";
import * as z from "zod";
import type { EngineMachine, EngineSpec } from "../engine.ts";
import { persist, removeUntilGone } from "./container-list.ts";
import { containerBody, machineLabel, repoOwner, type SpecContext } from "./container-spec.ts";
import type { LibpodApi } from "./libpod-api.ts";
import { checkMounts } from "./mount-check.ts";
import { holdSources, sourceChange } from "./source-check.ts";
import type { Strays } from "./strays.ts";

const Created = z.object({ Id: z.string() });
/** An inspected container, or the body of Podman's 404. */
const Labelled = z.object({
  Id: z.string().optional(),
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).optional(),
});
const Inspected = z.object({ State: z.object({ Pid: z.int(), Running: z.boolean(), Status: z.string() }) });

/** What a launch needs of the engine. */
export interface LaunchContext extends SpecContext {
  readonly strays: Strays;
}

/** Creates a container, checks its mounts before anything in it runs, and starts it. On any failure it is removed again. */
export async function launchContainer(
  api: LibpodApi,
  spec: EngineSpec,
  context: LaunchContext,
  signal: AbortSignal,
): Promise<EngineMachine> {
  refuseUnsafeOwner(spec, context.facts);
  await using _sources = await holdSources(spec.mounts);
  try {
    return await createAndStart(api, spec, context, signal);
  } catch (error) {
    await undo(api, spec, context.strays);
    throw (await sourceChange(spec.mounts)) ?? launchFailure(spec, error);
  }
}

/** A call that is cut off may still take effect, so the signal is looked at between calls only. */
async function createAndStart(
  api: LibpodApi,
  spec: EngineSpec,
  context: SpecContext,
  signal: AbortSignal,
): Promise<EngineMachine> {
  signal.throwIfAborted();
  const id = await create(api, spec, context);
  signal.throwIfAborted();
  // `init` makes namespaces and mounts, with the first program not yet started: what is wrong is found before it can act.
  await api.send({ method: "POST", path: `/containers/${id}/init` });
  const pid = await firstPid(api, id);
  await checkMounts(pid, spec.mounts, context.facts.ownership);
  signal.throwIfAborted();
  await api.send({ method: "POST", path: `/containers/${id}/start` });
  const { State } = await inspectState(api, id);
  if (!State.Running || State.Pid !== pid)
    throw new Error(`its first process ended at once (state "${State.Status}")`);
  return { containerId: id, pid, ownership: context.facts.ownership };
}

async function create(api: LibpodApi, spec: EngineSpec, context: SpecContext): Promise<string> {
  const body = containerBody(spec, context);
  const call = { method: "POST", path: "/containers/create", body } as const;
  try {
    return (await api.json(Created, call)).Id;
  } catch (error) {
    if (!isNameTaken(error) || !(await freeName(api, spec))) throw error;
    return (await api.json(Created, call)).Id;
  }
}

function isNameTaken(error: unknown): boolean {
  return error instanceof DoorwardError && /name .* is already in use/.test(error.message);
}

/** A removal that was cut short, by a full disk or a kill, leaves a name in Podman's storage that its containers don't know. */
async function freeName(api: LibpodApi, { name }: EngineSpec): Promise<boolean> {
  const path = `/containers/${encodeURIComponent(name)}`;
  const found = await api.json(Labelled, { method: "GET", path: `${path}/json`, accept: [404] });
  if (found.Id !== undefined) return false;
  await api.send({ method: "DELETE", path, query: { force: "true" } });
  return true;
}

async function firstPid(api: LibpodApi, id: string): Promise<number> {
  const { State } = await inspectState(api, id);
  if (State.Pid > 1) return State.Pid;
  throw new Error(`it has no first process (state "${State.Status}")`);
}

function inspectState(api: LibpodApi, id: string): Promise<z.infer<typeof Inspected>> {
  return api.json(Inspected, { method: "GET", path: `/containers/${id}/json` });
}

/** Without id mapping a repo of root would need a machine that runs as the host's root. */
function refuseUnsafeOwner(spec: EngineSpec, facts: HostFacts): void {
  if (facts.ownership !== "same-uid" || repoOwner(spec)?.uid !== 0) return;
  throw new DoorwardError({
    code: "HOST_UNSUPPORTED",
    message: `Cannot start machine "${spec.name}": its repo belongs to root, and this host can't map file owners`,
    hint: "doorward doctor",
  });
}

/** Removes what a failed launch made; only an answer of Podman, or many failures, end the attempt. */
async function undo(api: LibpodApi, spec: EngineSpec, strays: Strays): Promise<void> {
  const id = await removeByName(api, spec);
  if (id !== null) await strays.endOne(id);
}

/** Also finds a container whose id we never learned, because the call was cut off in the middle. */
async function removeByName(api: LibpodApi, spec: EngineSpec): Promise<string | null> {
  const path = `/containers/${encodeURIComponent(spec.name)}/json`;
  const found = await persist(() => api.json(Labelled, { method: "GET", path, accept: [404] }));
  // A name that another machine holds is why this launch failed; that machine stays.
  if (found.Id === undefined || found.Config?.Labels?.[machineLabel] !== spec.machineId) return null;
  await removeUntilGone(api, found.Id);
  return found.Id;
}

function launchFailure(spec: EngineSpec, error: unknown): DoorwardError {
  if (error instanceof Error && error.name === "AbortError") return toDoorwardError(error);
  if (error instanceof DoorwardError && error.code !== "PODMAN_FAILED") return error;
  const message = error instanceof Error ? error.message : String(error);
  return new DoorwardError({
    code: "LAUNCH_FAILED",
    message: `Cannot start machine "${spec.name}": ${message}`,
    hint: "doorward doctor",
    cause: error,
  });
}
