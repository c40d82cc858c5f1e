import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import { FileAccess, MintedAccess, type Access } from "./access.ts";
import { DoorwardCommand } from "./doorward-command.ts";
import {
  expectedWorkdir,
  findMachine,
  isOwnMachine,
  machineFor,
  workdirOf,
  type Workspace,
} from "./machine.ts";
import type { PluginConfig } from "./plugin-config.ts";
import { createBackend } from "./sandbox-backend.ts";

/** What OpenClaw asks a backend for; more than is used here. */
export interface SandboxParams {
  readonly scopeKey: string;
  readonly workspaceDir: string;
  readonly agentWorkspaceDir: string;
  readonly cfg: {
    readonly workspaceAccess: "none" | "ro" | "rw";
    readonly docker: { readonly env?: Readonly<Record<string, string>>; readonly binds?: readonly string[] };
  };
  readonly assertRuntimeCurrent?: () => void;
}

interface RegistryEntry {
  readonly entry: { readonly containerName: string; readonly image: string };
}

/** The sandbox backend that OpenClaw gets: one per gateway, with one grant for each machine and scope. */
export class SandboxRegistration implements AsyncDisposable {
  readonly #config: PluginConfig;
  readonly #command: DoorwardCommand;
  readonly #accesses = new Map<string, Access>();

  constructor(config: PluginConfig) {
    this.#config = config;
    this.#command = new DoorwardCommand(config);
  }

  /** What `registerSandboxBackend` takes. */
  registration(): object {
    return {
      factory: (params: SandboxParams) => this.#create(params),
      resolveWorkdir: ({ workspaceDir }: SandboxParams) =>
        this.#config.workdir ?? expectedWorkdir(workspaceDir),
      manager: {
        describeRuntime: ({ entry }: RegistryEntry) => this.#describe(entry),
        removeRuntime: ({ entry }: RegistryEntry) => this.#remove(entry.containerName),
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const accesses = [...this.#accesses.values()];
    this.#accesses.clear();
    await Promise.allSettled(accesses.map((access) => access[Symbol.asyncDispose]()));
  }

  async #create(params: SandboxParams): Promise<object> {
    const { scopeKey, workspaceDir, agentWorkspaceDir, cfg, assertRuntimeCurrent } = params;
    if ((cfg.docker.binds?.length ?? 0) > 0) throw noBinds();
    const workspace: Workspace = { scopeKey, workspaceDir, access: cfg.workspaceAccess };
    const machine = await machineFor(this.#command, this.#config, workspace);
    const workdir = this.#config.workdir ?? (await workdirOf(machine, workspace));
    const agent = { ...workspace, workspaceDir: agentWorkspaceDir };
    const agentWorkdir =
      agentWorkspaceDir === workspaceDir ? workdir : await workdirOf(machine, agent).catch(() => workdir);
    assertRuntimeCurrent?.();
    return createBackend({
      ...{ machine, workdir, agentWorkdir, env: cfg.docker.env, assertCurrent: assertRuntimeCurrent },
      access: this.#access(machine.name, scopeKey),
    });
  }

  #access(machine: string, scopeKey: string): Access {
    const key = `${machine}\n${scopeKey}`;
    const known = this.#accesses.get(key);
    if (known !== undefined) return known;
    const { grantFile, url } = this.#config;
    const access =
      grantFile === undefined
        ? new MintedAccess(this.#command, machine, subjectOf(scopeKey))
        : new FileAccess(grantFile, url);
    this.#accesses.set(key, access);
    return access;
  }

  async #describe({ containerName, image }: RegistryEntry["entry"]): Promise<object> {
    try {
      const machine = await findMachine(this.#command, containerName);
      const label = machine?.profile ?? image;
      return {
        running: machine?.state === "running",
        actualConfigLabel: label,
        configLabelMatch: label === image,
      };
    } catch {
      return { running: false, actualConfigLabel: image, configLabelMatch: false };
    }
  }

  /** A machine that was launched for a scope goes away with it; one that the operator made stays. */
  async #remove(name: string): Promise<void> {
    for (const [key, access] of this.#accesses) {
      if (!key.startsWith(`${name}\n`)) continue;
      this.#accesses.delete(key);
      await access[Symbol.asyncDispose]();
    }
    if (this.#config.machine !== undefined || !isOwnMachine(name)) return;
    try {
      await this.#command.run(["rm", name, "--force"]);
    } catch (cause) {
      const error = toDoorwardError(cause);
      if (error.code !== "MACHINE_NOT_FOUND") throw error;
    }
  }
}

/** Who the evidence names: `agent:openclaw:` and the scope, in the characters that a subject may have. */
function subjectOf(scopeKey: string): string {
  const session = scopeKey.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 80);
  return `agent:openclaw:${session === "" ? "main" : session}`;
}

function noBinds(): DoorwardError {
  return new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot use sandbox.docker.binds with backend "doorward": what a machine sees is decided by Doorward's policy`,
    hint: "doorward up WORKSPACE --ro FOLDER --name NAME, and set plugins.entries.doorward.config.machine",
  });
}
