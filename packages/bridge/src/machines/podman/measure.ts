import { readFile } from "node:fs/promises";
import { DoorwardError, MachineIsolation } from "@doorward/contracts";
import * as z from "zod";
import { readCgroupLimits } from "./cgroup-limits.ts";
import { seccompLabel } from "./container-spec.ts";
import type { LibpodApi } from "./libpod-api.ts";
import { readProcessFacts } from "./process-facts.ts";

const Inspected = z.object({
  Image: z.string(),
  State: z.object({ Pid: z.int(), Running: z.boolean() }),
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullable() }),
});

/** Measures a running container from the host's side and puts it in the form of the contract. */
export async function measureContainer(
  api: LibpodApi,
  containerId: string,
  signal: AbortSignal,
): Promise<MachineIsolation> {
  const inspected = await api.json(Inspected, {
    method: "GET",
    path: `/containers/${containerId}/json`,
    signal,
  });
  const { Pid: pid, Running: running } = inspected.State;
  if (!running || pid < 2) {
    throw new DoorwardError({
      code: "MACHINE_NOT_RUNNING",
      message: `Cannot measure container "${containerId.slice(0, 12)}": it does not run`,
    });
  }
  const [{ nofile, nproc, ...facts }, cgroup] = await Promise.all([
    readProcessFacts(pid),
    readCgroupLimits(pid),
  ]);
  return MachineIsolation.parse({
    imageId: `sha256:${inspected.Image.replace(/^sha256:/, "")}`,
    user: await insideUser(pid),
    ...facts,
    // Written by the launch; the filter in force can't be read back from the kernel.
    seccompProfile: inspected.Config.Labels?.[seccompLabel] ?? "",
    limits: { ...cgroup, nofile, nproc },
  });
}

/** uid and gid of the first process in the machine's own numbers, from the kernel's map rather than from the image. */
async function insideUser(pid: number): Promise<string> {
  const [status, uidMap, gidMap] = await Promise.all(
    ["status", "uid_map", "gid_map"].map((name) => readFile(`/proc/${String(pid)}/${name}`, "utf8")),
  );
  const host = (name: string): number =>
    Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status ?? "")?.[1]);
  return `${String(inside(uidMap ?? "", host("Uid")))}:${String(inside(gidMap ?? "", host("Gid")))}`;
}

function inside(map: string, host: number): number {
  for (const line of map.trim().split("\n")) {
    const [first = 0, outside = 0, size = 0] = line.trim().split(/\s+/).map(Number);
    if (host >= outside && host < outside + size) return first + host - outside;
  }
  return 65_534;
}
