import { dirname } from "node:path";
import type { HostFacts, MachineIsolation } from "@doorward/contracts";
import type { Logger } from "pino";
import { readLinuxHost } from "../../hosts/linux/linux-host.ts";
import type {
  EngineContainer,
  EngineExit,
  EngineImage,
  EngineMachine,
  EngineSpec,
  ImageRecipe,
  MachineEngine,
  Progress,
} from "../engine.ts";
import { MachineImages } from "../images/machine-images.ts";
import { listContainers, removeContainer, startedContainers } from "./container-list.ts";
import { containerLogs } from "./container-logs.ts";
import { prepareFolders, releaseFolders, type EngineFolders } from "./engine-folders.ts";
import { ExitWatch } from "./exit-watch.ts";
import { describeHost, findInit } from "./host-facts.ts";
import { launchContainer } from "./launch.ts";
import { LibpodApi } from "./libpod-api.ts";
import { measureContainer } from "./measure.ts";
import { writePodmanConfig } from "./podman-config.ts";
import { PodmanService } from "./podman-service.ts";
import { chooseRuntime } from "./runtime-choice.ts";
import { writeSeccompFiles, type SeccompFile } from "./seccomp-files.ts";
import type { SeccompKind } from "./seccomp-rules.ts";
import { Strays } from "./strays.ts";

/** Where an engine lives and for whom. */
export interface PodmanEngineOptions {
  /** Lasting state of this installation; Podman's storage lies in it. */
  readonly stateDir: string;
  /** Folder for sockets, private to this user and short. */
  readonly runtimeDir: string;
  readonly installationId: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** A registry's Debian image to build from instead of Debian's packages, e.g. `docker.io/library/debian:bookworm-slim`. */
  readonly imageBase?: string | null;
}

interface Parts {
  readonly facts: HostFacts;
  readonly folders: EngineFolders;
  readonly service: PodmanService;
  readonly api: LibpodApi;
  readonly exits: ExitWatch;
  readonly images: MachineImages;
  readonly seccomp: Readonly<Record<SeccompKind, SeccompFile>>;
  readonly strays: Strays;
  readonly installationId: string;
}

/** Machines as Podman containers on Linux, through a Podman service of our own that shares nothing with others. */
export class PodmanEngine implements MachineEngine {
  readonly facts: HostFacts;
  readonly #parts: Parts;
  #closed: Promise<void> | null = null;

  private constructor(parts: Parts) {
    this.facts = parts.facts;
    this.#parts = parts;
  }

  /** Looks at the host, writes Podman's configuration, starts its service and waits until it answers. */
  static async open(options: PodmanEngineOptions): Promise<PodmanEngine> {
    const { stateDir, runtimeDir, installationId, signal, imageBase = null } = options;
    const log = options.log.child({ part: "podman" });
    const host = readLinuxHost();
    const folders = prepareFolders(stateDir, runtimeDir, host.bootId);
    const runtime = await chooseRuntime(host, folders.state, dirname(folders.graphRoot), signal);
    writePodmanConfig(folders, host, runtime);
    const seccomp = writeSeccompFiles(folders.state, host);
    const service = new PodmanService(folders, new LibpodApi(folders.socket), log);
    try {
      await service.start(signal);
    } catch (error) {
      await service[Symbol.asyncDispose]();
      throw error;
    }
    const api = new LibpodApi(folders.socket, (waiting) => service.ready(waiting));
    const exits = new ExitWatch(api, folders, installationId, () => listContainers(api, installationId), log);
    const images = new MachineImages({ folders, api, host, imageBase, log });
    const facts = describeHost(host, runtime, imageBase);
    const strays = new Strays(folders, runtime.path);
    await strays.endUnknown(await startedContainers(api));
    exits.start();
    return new PodmanEngine({ facts, folders, service, api, exits, images, seccomp, strays, installationId });
  }

  /** Pid of the Podman service, for `doctor` and tests. */
  get servicePid(): number | null {
    return this.#parts.service.pid;
  }

  /** See {@link MachineEngine.launch}. */
  async launch(spec: EngineSpec, signal: AbortSignal): Promise<EngineMachine> {
    const { api, seccomp, exits, strays } = this.#parts;
    const context = {
      facts: this.facts,
      seccomp: seccomp[spec.seccomp],
      hasInit: findInit() !== null,
      strays,
    };
    const machine = await launchContainer(api, spec, context, signal);
    exits.follow(machine.containerId, machine.pid);
    return machine;
  }

  /** See {@link MachineEngine.measure}. */
  async measure(containerId: string, signal: AbortSignal): Promise<MachineIsolation> {
    return await measureContainer(this.#parts.api, containerId, signal);
  }

  /** See {@link MachineEngine.remove}. */
  async remove(containerId: string, graceSeconds: number): Promise<void> {
    await removeContainer(this.#parts.api, containerId, graceSeconds);
    await this.#parts.strays.endOne(containerId);
  }

  /** See {@link MachineEngine.list}. */
  async list(): Promise<readonly EngineContainer[]> {
    return await listContainers(this.#parts.api, this.#parts.installationId);
  }

  /** See {@link MachineEngine.onExit}. */
  onExit(listener: (exit: EngineExit) => void): Disposable {
    return this.#parts.exits.add(listener);
  }

  /** See {@link MachineEngine.logs}. */
  async logs(containerId: string, lines: number): Promise<string> {
    return await containerLogs(this.#parts.folders, containerId, lines);
  }

  /** See {@link MachineEngine.ensureImage}. */
  async ensureImage(recipe: ImageRecipe, progress: Progress, signal: AbortSignal): Promise<EngineImage> {
    return await this.#parts.images.ensure(recipe, progress, signal);
  }

  /** See {@link MachineEngine.images}. */
  async images(): Promise<readonly EngineImage[]> {
    return await this.#parts.images.list();
  }

  /** See {@link MachineEngine.pruneImages}. */
  async pruneImages(keepTags: readonly string[]): Promise<readonly string[]> {
    return await this.#parts.images.prune(keepTags);
  }

  /** Stops the service; machines keep running. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    const { api, folders, images, exits, service } = this.#parts;
    await Promise.allSettled([images[Symbol.asyncDispose](), exits[Symbol.asyncDispose]()]);
    const idle = (await startedContainers(api).catch(() => null))?.size === 0;
    await service[Symbol.asyncDispose]();
    if (idle) await releaseFolders(folders);
  }
}
