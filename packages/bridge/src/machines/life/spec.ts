import { chown, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CA_MOUNT, EGRESS_ENVIRONMENT, IMAGE_ENVIRONMENT } from "./egress-environment.ts";
import { trustFolder } from "./egress-trust.ts";
import type { EngineMount, EngineSpec } from "../engine.ts";
import { RUNTIME_MOUNT } from "../guest/runtime.ts";
import { rangeStart } from "./id-ranges.ts";
import { gitConfigMount, machineGitConfig, operatorGitIdentity, type MountPlan } from "../mounts/index.ts";
import type { GuestRuntime, LifeContext } from "./ports.ts";
import type { MachineRecord } from "./record.ts";

/** User of every machine, as our images have it. */
const MACHINE_USER = { uid: 1000, gid: 1000 } as const;
const HOME = "/home/agent";
const MiB = 1_048_576;

/** Folder of a machine's guest socket on the host. */
export function socketFolder(context: LifeContext, machineId: string): string {
  return join(context.folders.runtime, "machines", machineId);
}

/** Folder of a machine's home volume on the host. */
export function homeFolder(context: LifeContext, machineId: string): string {
  return join(context.folders.state, "homes", machineId);
}

/** Folder for what is bound over masked names. */
export function masksFolder(context: LifeContext): string {
  return join(context.folders.state, "masks");
}

/** What the engine is asked to run for a machine. */
export async function engineSpec(
  context: LifeContext,
  record: MachineRecord,
  plan: MountPlan,
  runtime: GuestRuntime,
  imageId: string,
): Promise<EngineSpec> {
  const { limits, isolation, home, homeMiB } = record.profile;
  const homeMounts = home === "volume" ? [await homeMount(context, record)] : [];
  const secrets = await context.secrets.place(
    record.id,
    record.profile.secrets,
    machineOwner(context, record),
  );
  const homeTmpfs = home === "tmpfs" ? [{ target: HOME, sizeBytes: homeMiB * MiB, mode: 0o777 }] : [];
  return {
    name: `doorward-${context.installationId.slice(-6)}-${record.id}`,
    machineId: record.id,
    installationId: context.installationId,
    imageId,
    command: runtime.command,
    workdir: plan.repos[0]?.machinePath ?? "/workspace",
    hostname: record.name,
    env: environment(record, plan, secrets.env),
    user: MACHINE_USER,
    idRangeStart: rangeStart(record.idRange),
    mounts: [
      await ownMount(runtime.path, RUNTIME_MOUNT, "guest-runtime"),
      await ownMount(socketFolder(context, record.id), "/run/doorward", "guest-socket"),
      await ownMount(await trustFolder(context, record), CA_MOUNT, "egress-ca"),
      await gitConfigMount(masksFolder(context), machineGitConfig(await operatorGitIdentity(context.home))),
      ...homeMounts,
      ...secrets.mounts,
      ...plan.mounts,
    ],
    tmpfs: [{ target: "/tmp", sizeBytes: limits.tmpMiB * MiB, mode: 0o1777 }, ...homeTmpfs],
    limits: {
      memoryBytes: limits.memoryMiB * MiB,
      pids: limits.pids,
      cpus: limits.cpus,
      nofile: Math.min(limits.nofile, context.engine.facts.nofile),
      nproc: Math.min(limits.pids, context.engine.facts.nproc),
      shmBytes: limits.shmMiB * MiB,
    },
    relaxations: isolation.relaxations,
    seccomp: isolation.relaxations.includes("user-namespaces-inside") ? "browser" : "machine",
  };
}

function environment(
  record: MachineRecord,
  plan: MountPlan,
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    ...EGRESS_ENVIRONMENT,
    ...(record.imageName === "machine" ? IMAGE_ENVIRONMENT : {}),
    // the operator's own settings win; what isolates a machine is not in its environment
    ...record.profile.environment,
    ...secrets,
    HOME,
    USER: "agent",
    LOGNAME: "agent",
    LANG: "C.UTF-8",
    PATH: `${HOME}/.local/bin:/usr/local/bin:/usr/bin:/bin`,
    DOORWARD_MACHINE: record.name,
    DOORWARD_WORKDIR: plan.repos[0]?.machinePath ?? "/workspace",
  };
}

/** Who the machine's user is on the host. */
function machineOwner(context: LifeContext, record: MachineRecord): { uid: number; gid: number } {
  const start = context.engine.facts.ownership === "idmapped" ? rangeStart(record.idRange) : 0;
  return { uid: start + MACHINE_USER.uid, gid: start + MACHINE_USER.gid };
}

/** The home volume belongs to the machine's own range of ids (or to us, where machines run as us). */
async function homeMount(context: LifeContext, record: MachineRecord): Promise<EngineMount> {
  const folder = homeFolder(context, record.id);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { ownership } = context.engine.facts;
  if (ownership === "idmapped") {
    const start = rangeStart(record.idRange);
    await chown(folder, start + MACHINE_USER.uid, start + MACHINE_USER.gid);
  }
  return { ...(await ownMount(folder, HOME, "home")), access: "rw" };
}

async function ownMount(source: string, target: string, role: EngineMount["role"]): Promise<EngineMount> {
  const { dev, ino, uid, gid } = await stat(source);
  return { source, target, access: "ro", role, identity: { dev, ino }, mapOwner: false, owner: { uid, gid } };
}
