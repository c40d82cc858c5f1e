import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { DoorwardError } from "@doorward/contracts";
import type { EngineContainer } from "../engine.ts";
import { installationLabel, machineLabel } from "./container-spec.ts";
import type { LibpodApi } from "./libpod-api.ts";

const Listed = z.array(
  z.object({
    Id: z.string(),
    Labels: z.record(z.string(), z.string()).nullable(),
    State: z.string(),
    Pid: z.int(),
  }),
);
const removeAttempts = 40;
const removePauseMs = 100;
const states: ReadonlyMap<string, EngineContainer["state"]> = new Map([
  ["created", "created"],
  ["configured", "created"],
  ["initialized", "created"],
  ["running", "running"],
  ["stopping", "running"],
  ["paused", "paused"],
]);

/** Containers with an installation's label, whatever their state. */
export async function listContainers(
  api: LibpodApi,
  installationId: string,
): Promise<readonly EngineContainer[]> {
  const filters = JSON.stringify({ label: [`${installationLabel}=${installationId}`] });
  const listed = await api.json(Listed, {
    method: "GET",
    path: "/containers/json",
    query: { all: "true", filters },
  });
  return listed.map(({ Id, Labels, State, Pid }) => ({
    containerId: Id,
    machineId: Labels?.[machineLabel] ?? "",
    state: states.get(State) ?? "stopped",
    pid: Pid,
  }));
}

/** Ids of every container in our storage, of whatever installation, that Podman knows to be more than created. */
export async function startedContainers(api: LibpodApi): Promise<ReadonlySet<string>> {
  const listed = await api.json(Listed, { method: "GET", path: "/containers/json", query: { all: "true" } });
  return new Set(
    listed
      .filter(({ State }) => states.get(State) !== "created" || State === "initialized")
      .map(({ Id }) => Id),
  );
}

/** Asks a container to end, waits `graceSeconds`, then kills and removes it; an absent one is success. */
export async function removeContainer(
  api: LibpodApi,
  containerId: string,
  graceSeconds: number,
): Promise<void> {
  const path = `/containers/${encodeURIComponent(containerId)}`;
  if (graceSeconds > 0) {
    const query = { timeout: String(graceSeconds) };
    await api
      .send({ method: "POST", path: `${path}/stop`, query, accept: [404, 409, 500] })
      .catch(ignoreLost);
  }
  await removeUntilGone(api, containerId);
}

/** Kills and removes a container; absent is success. */
export async function removeUntilGone(api: LibpodApi, containerId: string): Promise<void> {
  const path = `/containers/${encodeURIComponent(containerId)}`;
  const query = { force: "true", v: "true", timeout: "0" };
  // A container that has just ended is unmounted by conmon's own clean-up at the same time, and Podman then fails as busy.
  await persist(() => api.send({ method: "DELETE", path, query, accept: [404] }));
}

/** Tries again for some seconds what must be done and can be repeated. */
export async function persist<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = removeAttempts; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 1) throw error;
      await delay(removePauseMs);
    }
  }
}

/** When the service dies during a stop, the removal that follows does the work. */
function ignoreLost(error: unknown): void {
  if (!(error instanceof DoorwardError) || error.code !== "PODMAN_UNREACHABLE") throw error;
}
