import type { HostFacts, MachineIsolation } from "@doorward/contracts";

/** One bind mount of a machine, decided by policy and mount planning; the engine only carries it out. */
export interface EngineMount {
  /** Host path to bind; resolved, absolute. */
  readonly source: string;
  /** Absolute path inside the machine. */
  readonly target: string;
  readonly access: "ro" | "rw";
  /** What the mount is for; shown in the fingerprint. */
  readonly role:
    | "repo"
    | "protected"
    | "mount-point"
    | "hidden"
    | "guest-runtime"
    | "guest-socket"
    | "home"
    | "secret-file"
    | "egress-ca";
  /** Identity of the source at decision time, compared with what is mounted after start. */
  readonly identity: { readonly dev: number; readonly ino: number };
  /** `true` maps the source's owner onto the machine's user (idmapped mount); the engine names a fallback where it can't. */
  readonly mapOwner: boolean;
  /** Owner of the source on the host, the side of the mapping outside. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

/** Everything that the engine needs to create one machine. Nothing security-relevant has a default here. */
export interface EngineSpec {
  readonly name: string;
  /** Machine id (`m_...`), also put in the label `dev.doorward.machine`. */
  readonly machineId: string;
  /** Installation id; label `dev.doorward.installation`. Only containers with this label are ever adopted or reaped. */
  readonly installationId: string;
  /** Image id (`sha256:...`), never a tag. */
  readonly imageId: string;
  readonly command: readonly string[];
  readonly workdir: string;
  readonly hostname: string;
  readonly env: Readonly<Record<string, string>>;
  /** User inside the machine, e.g. 1000:1000. */
  readonly user: { readonly uid: number; readonly gid: number };
  /** Start of this machine's own range of 65,536 host ids (rootful). */
  readonly idRangeStart: number;
  readonly mounts: readonly EngineMount[];
  readonly tmpfs: readonly { readonly target: string; readonly sizeBytes: number; readonly mode: number }[];
  readonly limits: {
    readonly memoryBytes: number;
    readonly pids: number;
    readonly cpus: number;
    readonly nofile: number;
    readonly nproc: number;
    readonly shmBytes: number;
  };
  /** Named relaxations of the profile; each shows in the fingerprint. */
  readonly relaxations: readonly string[];
  /** Which of our seccomp profiles to use. */
  readonly seccomp: "machine" | "browser";
}

/** What the engine reports of a created and started container. */
export interface EngineMachine {
  readonly containerId: string;
  /** Pid of the container's first process in the host's pid namespace. */
  readonly pid: number;
  /** How ids were really mapped: idmapped mounts, keep-id, the repo owner's own uid without a user namespace, and so on. */
  readonly ownership: "idmapped" | "keep-id" | "same-uid";
}

/** A container that carries this installation's label, as found on the host. */
export interface EngineContainer {
  readonly containerId: string;
  readonly machineId: string;
  readonly state: "created" | "running" | "paused" | "stopped";
  readonly pid: number;
}

/** Why and when a container ended. */
export interface EngineExit {
  readonly containerId: string;
  readonly exitCode: number;
  readonly oomKilled: boolean;
}

/** Progress of long work (image build, service start), for the client to show. */
export type Progress = (step: { readonly step: string; readonly detail?: string }) => void;

/** An image that Doorward built or imported. */
export interface EngineImage {
  readonly id: string;
  readonly digest: string;
  readonly tag: string;
  readonly recipe: string;
  readonly sizeBytes: number;
  readonly createdAt: string;
}

/** Launches and watches machines. One implementation per container engine; Podman is the first. */
export interface MachineEngine extends AsyncDisposable {
  /** What this host can enforce; measured once at start, shown by `doctor` and in every fingerprint. */
  readonly facts: HostFacts;
  /** Creates and starts a container. On any failure nothing is left behind. */
  launch(spec: EngineSpec, signal: AbortSignal): Promise<EngineMachine>;
  /** Measures how a running container is really isolated (inspect, `/proc`, cgroup files, mountinfo). */
  measure(containerId: string, signal: AbortSignal): Promise<MachineIsolation>;
  /** Stops (kills after the grace time) and removes a container; absent is success. */
  remove(containerId: string, graceSeconds: number): Promise<void>;
  /** Containers with this installation's label. */
  list(): Promise<readonly EngineContainer[]>;
  /** Calls back when a container of this installation ends, until disposed. */
  onExit(listener: (exit: EngineExit) => void): Disposable;
  /** The last `lines` lines of the container's own output. */
  logs(containerId: string, lines: number): Promise<string>;
  /** Image of a recipe, building it when absent. A named tag is looked up, never pulled. */
  ensureImage(recipe: ImageRecipe, progress: Progress, signal: AbortSignal): Promise<EngineImage>;
  images(): Promise<readonly EngineImage[]>;
  /** Removes images that no container uses; returns the removed tags. */
  pruneImages(keepTags: readonly string[]): Promise<readonly string[]>;
}

/** What to build a machine image from. */
export interface ImageRecipe {
  /** `machine` is ours; a string with a colon or slash is an existing local image. */
  readonly name: string;
  /** Includes compilers and headers. */
  readonly buildTools: boolean;
}
