import type { FingerprintInputs, MachineIsolation } from "@doorward/contracts";
import type { GuestLink } from "@doorward/guest";
import type { EngineContainer } from "../engine.ts";
import { byBridge, forgetMachine, settleEnded } from "./end.ts";
import { secondsLeft } from "./lease.ts";
import type { LifeContext } from "./ports.ts";
import type { MachineRecord } from "./record.ts";
import { socketFolder } from "./spec.ts";

const WHY = {
  reboot: "the host rebooted",
  crashed: "it ended while the bridge was down",
  reaped: "the bridge was killed half way",
  expired: "its time to live was over while no bridge ran",
  drift: "after the bridge's restart it was not isolated any more as its fingerprint says",
} as const;

/** What a starting bridge found of its machines. */
export interface Adoption {
  readonly links: ReadonlyMap<string, GuestLink>;
  readonly adopted: number;
  readonly reaped: number;
}

/** Adopts running machines, marks ended ones as stopped, finishes what was half done, and reaps containers of ours that nobody knows. */
export async function adoptAll(context: LifeContext, signal: AbortSignal): Promise<Adoption> {
  const containers = new Map((await context.engine.list()).map((each) => [each.containerId, each]));
  const links = new Map<string, GuestLink>();
  try {
    const kept = new Set<string>();
    for (const record of context.records.list()) {
      const container = containerOf(record, containers);
      const link = await settle(context, record, container, signal);
      if (link === undefined) continue;
      links.set(record.id, link);
      if (container !== undefined) kept.add(container.containerId);
    }
    const reaped = await reap(context, containers, kept);
    return { links, adopted: links.size, reaped };
  } catch (error) {
    // The next try listens again, where these would be in its way.
    await Promise.allSettled([...links.values()].map((link) => link[Symbol.asyncDispose]()));
    throw error;
  }
}

function containerOf(
  record: MachineRecord,
  containers: ReadonlyMap<string, EngineContainer>,
): EngineContainer | undefined {
  const container = record.containerId === null ? undefined : containers.get(record.containerId);
  return container?.machineId === record.id && container.state === "running" ? container : undefined;
}

/** Brings one record to what is true now; answers the link of a machine that goes on. */
async function settle(
  context: LifeContext,
  record: MachineRecord,
  container: EngineContainer | undefined,
  signal: AbortSignal,
): Promise<GuestLink | undefined> {
  if (
    record.state === "running" &&
    container !== undefined &&
    !isOver(context, record) &&
    (await unchanged(context, record, container, signal))
  ) {
    const link = await context.listen({ machineId: record.id, folder: socketFolder(context, record.id) });
    void link.takeEgressPort(container.pid);
    return link;
  }
  if (container !== undefined) await context.engine.remove(container.containerId, 0);
  if (record.state !== "stopped") await markEnded(context, record, container !== undefined);
  if (record.removing === true || (record.state === "launching" && record.evidence === null))
    await forget(context, record);
  return undefined;
}

/** What can't be deleted now stays for a later start, and keeps nobody from the other machines. */
async function forget(context: LifeContext, { id }: MachineRecord): Promise<void> {
  await forgetMachine(context, id).catch((error: unknown) => {
    context.log.error({ err: error, machine: id }, "machines: a half-removed one can't be deleted");
  });
}

/** Whether the container is still isolated as its fingerprint says, in what can't change by itself while it runs. */
async function unchanged(
  context: LifeContext,
  record: MachineRecord,
  container: EngineContainer,
  signal: AbortSignal,
): Promise<boolean> {
  const inputs = record.fingerprint?.inputs;
  if (inputs === undefined) return false;
  const known = inputs.isolation;
  const now = await measured(context, container, signal);
  if (now === null) return false;
  const same = (
    ["imageId", "user", "capEff", "capBnd", "noNewPrivs", "seccompMode", "rootReadOnly"] as const
  ).every((field) => known[field] === now[field]);
  return (
    same &&
    now.routes === known.routes &&
    now.interfaces.join() === known.interfaces.join() &&
    now.devices.join() === known.devices.join() &&
    sameMounts(known.mounts, now.mounts, inputs.mounts)
  );
}

/**
 * Whether the mounts are the same, but for protections that are gone: the host's own git drops them when it replaces a
 * file (see protection-watch.ts). That is told to the operator while the machine runs, and is no reason to end it here.
 */
function sameMounts(
  known: MachineIsolation["mounts"],
  now: MachineIsolation["mounts"],
  decided: FingerprintInputs["mounts"],
): boolean {
  const mayBeGone = new Set(decided.filter(({ role }) => role === "protected").map(({ target }) => target));
  const before = new Set([...known, ...decided].map(({ target }) => target));
  const after = new Set(now.map(({ target }) => target));
  const added = [...after].filter((target) => !before.has(target));
  const gone = [...before].filter((target) => !after.has(target));
  return added.length === 0 && gone.every((target) => mayBeGone.has(target));
}

/** What a machine does to its own processes must not keep the bridge from adopting the others. */
async function measured(
  context: LifeContext,
  container: EngineContainer,
  signal: AbortSignal,
): Promise<MachineIsolation | null> {
  try {
    return await context.engine.measure(container.containerId, signal);
  } catch (error) {
    signal.throwIfAborted();
    context.log.error({ err: error, container: container.containerId }, "machines: one can't be measured");
    return null;
  }
}

/** Whether a machine's time ended while no bridge ran. */
function isOver(context: LifeContext, { lease }: MachineRecord): boolean {
  return lease === null || secondsLeft(lease, context.clocks) <= 0;
}

async function markEnded(context: LifeContext, record: MachineRecord, ran: boolean): Promise<void> {
  const rebooted = record.lease !== null && record.lease.bootId !== context.clocks.bootId();
  const ended = !ran ? "crashed" : isOver(context, record) ? "expired" : "drift";
  const reason = rebooted ? "reboot" : record.state === "running" ? ended : "reaped";
  try {
    await settleEnded(context, record, byBridge(record, reason, WHY[reason]));
  } catch (error) {
    // It has ended, whatever can't be written of that; the other machines are not kept from their operator.
    context.log.error({ err: error, machine: record.id }, "machines: an end could not be recorded");
  }
}

async function reap(
  context: LifeContext,
  containers: ReadonlyMap<string, EngineContainer>,
  kept: ReadonlySet<string>,
): Promise<number> {
  let reaped = 0;
  for (const id of containers.keys()) {
    if (kept.has(id)) continue;
    context.log.warn({ container: id }, "machines: reaping a container that no record knows");
    await context.engine.remove(id, 0);
    reaped += 1;
  }
  return reaped;
}
