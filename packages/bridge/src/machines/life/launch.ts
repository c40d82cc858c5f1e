import { mkdir, rm } from "node:fs/promises";
import { DenialError, DoorwardError } from "@doorward/contracts";
import type { GuestLink } from "@doorward/guest";
import { findDrift, type Drift } from "../drift.ts";
import type { EngineImage, EngineMachine, EngineSpec, Progress } from "../engine.ts";
import { takeFingerprint } from "../fingerprint.ts";
import { keepMountEvidence, mountEvidence } from "../../interfaces/index.ts";
import { byBridge, recordEnd } from "./end.ts";
import { beginLease } from "./lease.ts";
import { planMounts, type MountPlan, type RepoToMount } from "../mounts/index.ts";
import type { GuestRuntime, LifeContext } from "./ports.ts";
import { keptNotices } from "./notices.ts";
import { refuseLongRecord } from "./record-room.ts";
import type { MachineRecord } from "./record.ts";
import { engineSpec, masksFolder, socketFolder } from "./spec.ts";

const GUEST_READY_MS = 20_000;
const UNSTORED = "it was launched and could not be stored";

/** Who asks for a change of a machine, and how to reach them while it is made. */
export interface Asker {
  readonly subject: string;
  readonly correlationId: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What one launch is asked for. */
export interface LaunchRequest extends Asker {
  readonly record: MachineRecord;
  readonly repos: readonly RepoToMount[];
  readonly trigger: "up" | "start" | "run";
}

/** A launched machine: its record, stored and in evidence, and the link to its guest. */
export interface Launched {
  readonly record: MachineRecord;
  readonly link: GuestLink;
}

/**
 * Launches a machine that is stored as `launching`. The launch record is durable before this returns; on any failure
 * the container, the link and the socket folder are gone, and the caller decides what becomes of the record.
 */
export async function launch(context: LifeContext, request: LaunchRequest): Promise<Launched> {
  const began = context.clocks.wall();
  const { record, progress, signal } = request;
  const [image, runtime] = await prepare(context, request);
  progress({ step: "Planning mounts" });
  await using plan = await planMounts({
    repos: request.repos,
    profile: record.profile,
    hide: record.hide,
    protect: context.policy.policy.protect ?? [],
    masksDir: masksFolder(context),
    hold: (path, access) => context.policy.holdRepo(path, { profile: record.profile.name, access }),
    signal,
  });
  const folder = socketFolder(context, record.id);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const link = await context.listen({ machineId: record.id, folder });
  let machine: EngineMachine | undefined;
  let running: MachineRecord | undefined;
  try {
    progress({ step: "Starting the machine" });
    const spec = await engineSpec(context, record, plan, runtime, image.id);
    refuseLongRecord(record, spec);
    machine = await context.engine.launch(spec, signal);
    const launched = { ...request, began, image, runtime, plan, spec, machine, link };
    running = await confirm(context, launched);
    context.records.put(running);
    return { record: running, link };
  } catch (error) {
    await link[Symbol.asyncDispose]();
    if (machine !== undefined) await context.engine.remove(machine.containerId, 0);
    await rm(folder, { recursive: true, force: true });
    await context.secrets.clear(record.id);
    // Its launch is on record, so its end is too.
    if (running !== undefined) await endUnstored(context, running);
    throw error;
  }
}

/** What kept the machine from being stored is what its caller is told, whatever becomes of this record. */
async function endUnstored(context: LifeContext, running: MachineRecord): Promise<void> {
  await recordEnd(context, running, byBridge(running, "reaped", UNSTORED)).catch((error: unknown) => {
    context.log.error({ err: error, machine: running.id }, "machines: an end could not be recorded");
  });
}

async function prepare(context: LifeContext, request: LaunchRequest): Promise<[EngineImage, GuestRuntime]> {
  const { record, progress, signal } = request;
  progress({ step: "Preparing the image" });
  const { buildTools } = record.profile.image;
  return Promise.all([
    context.engine.ensureImage({ name: record.imageName, buildTools }, progress, signal),
    context.runtime(),
  ]);
}

interface Started extends LaunchRequest {
  readonly began: number;
  readonly image: EngineImage;
  readonly runtime: GuestRuntime;
  readonly plan: MountPlan;
  readonly spec: EngineSpec;
  readonly machine: EngineMachine;
  readonly link: GuestLink;
}

/** Waits for the guest, compares what runs with what was intended, and makes the launch record durable. */
async function confirm(context: LifeContext, started: Started): Promise<MachineRecord> {
  const { record, image, spec, machine, link, plan, progress } = started;
  const hello = await link.ready(AbortSignal.any([started.signal, AbortSignal.timeout(GUEST_READY_MS)]));
  const port = link.takeEgressPort(machine.pid);
  progress({ step: "Checking what runs" });
  const isolation = await context.engine.measure(machine.containerId, started.signal);
  plan.verify();
  const drift = findDrift(spec, image.id, machine, isolation, context.engine.facts);
  if (drift.length > 0) throw driftError(record, drift);
  const lease = beginLease(record.timeToLiveSeconds, context.clocks);
  const fingerprint = takeFingerprint({
    machine: { id: record.id, name: record.name },
    profile: record.profile,
    policyHash: context.policy.hash,
    image,
    hide: record.hide,
    spec,
    isolation,
    guest: { digest: started.runtime.digest, protocol: hello.protocol },
    doors: context.doorVersions,
    facts: context.engine.facts,
    fallbacks: machine.ownership === "idmapped" ? [] : [`ownership:${machine.ownership}`],
    observedAt: lease.startedAt,
  });
  progress({ step: "Writing the launch record" });
  const kept = await keepMountEvidence(
    context.evidence,
    mountEvidence({
      machineId: record.id,
      profile: record.profile,
      interfaceRef: context.policy.interfaceProfile(record.profile.name, "terminal")?.id ?? null,
      policyHash: context.policy.hash,
      capturedAt: lease.startedAt,
      home: context.home,
      mounts: spec.mounts,
      isolation,
      guestDigest: started.runtime.digest,
      listed: plan.listed,
    }),
  );
  await port;
  const { index } = await context.evidence.append({
    type: "launch",
    correlationId: started.correlationId,
    subject: started.subject,
    machine: { id: record.id, name: record.name },
    grant: null,
    policyHash: context.policy.hash,
    trigger: started.trigger,
    expiresAt: lease.expiresAt,
    durationMs: Math.max(0, Math.round(context.clocks.wall() - started.began)),
    fingerprint,
    mountEvidence: kept,
  });
  return {
    ...record,
    state: "running",
    stateReason: null,
    repos: record.repos.map((repo, at) => ({
      ...repo,
      machinePath: plan.repos[at]?.machinePath ?? repo.machinePath,
    })),
    image: { id: image.id, tag: image.tag },
    containerId: machine.containerId,
    lease,
    fingerprint,
    evidence: index,
    notices: keptNotices([], plan.notices),
    listed: [...plan.listed],
    protections: plan.protections.map((each) => ({
      ...each,
      protected: [...each.protected],
      pins: [...each.pins],
    })),
  };
}

function driftError(record: MachineRecord, drift: readonly Drift[]): DoorwardError {
  const words = drift.map(({ what, intended, found }) => `${what} is "${found}" instead of "${intended}"`);
  return new DenialError({
    code: "MACHINE_DRIFT",
    rule: "launch.as-intended",
    message: `Cannot launch "${record.name}": what runs is not what was intended: ${words.slice(0, 5).join("; ")}`,
    hint: "doorward doctor",
    details: { drift },
  });
}
