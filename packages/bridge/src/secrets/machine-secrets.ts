import { chown, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  DoorwardError,
  isHeaderSecret,
  secretsProblem,
  secretVariable,
  type HeaderSecret,
  type MachineSecret,
} from "@doorward/contracts";
import type { BoundSecret, EgressMachine, SecretBindings } from "../egress/ports.ts";
import type { EngineMount } from "../machines/engine.ts";
import { unknownSecret, type SecretStore } from "./secret-store.ts";

const HTTPS = 443;
const PLACEHOLDER_HEX = 48;

/** What {@link MachineSecrets} needs to know of the bridge. */
export interface MachineSecretsOptions {
  readonly store: SecretStore;
  /** Secrets of a machine that is running or being launched, as its record has them; none for any other. */
  readonly secretsOf: (machineId: string) => readonly MachineSecret[];
  readonly runtimeDir: string;
}

/** What the secrets of a machine put into it. */
export interface PlacedSecrets {
  /** Placeholders, and the paths of files; never values. */
  readonly env: Readonly<Record<string, string>>;
  readonly mounts: readonly EngineMount[];
}

/** Gives machines placeholders (and files, where the operator insists), and the proxy the values behind them. */
export class MachineSecrets implements SecretBindings {
  readonly #options: MachineSecretsOptions;

  constructor(options: MachineSecretsOptions) {
    this.#options = options;
  }

  boundTo(machine: EgressMachine, host: string, port: number): readonly BoundSecret[] {
    const { store, secretsOf } = this.#options;
    return secretsOf(machine.id)
      .filter(isHeaderSecret)
      .filter((secret) => secret.host === host && (secret.port ?? HTTPS) === port)
      .map((secret) => ({
        name: secret.name,
        header: secret.header,
        placeholder: this.#placeholder(machine.id, secret),
        value: () => store.value(secret.name),
      }));
  }

  /** Refuses a list that contradicts itself, or that names a secret which nobody set. */
  check(secrets: readonly MachineSecret[]): void {
    const problem = secretsProblem(secrets);
    if (problem !== undefined) {
      throw new DoorwardError({ code: "INPUT_INVALID", message: `Cannot launch: ${problem}` });
    }
    for (const { name } of secrets) {
      if (!this.#options.store.has(name)) throw unknownSecret(name, "Cannot launch");
    }
  }

  /** Makes what a launch takes into the machine; `owner` is the host's id of the machine's user. */
  async place(
    machineId: string,
    secrets: readonly MachineSecret[],
    owner: { readonly uid: number; readonly gid: number },
  ): Promise<PlacedSecrets> {
    this.check(secrets);
    await this.clear(machineId);
    const env: Record<string, string> = {};
    const mounts: EngineMount[] = [];
    for (const secret of secrets) {
      if (isHeaderSecret(secret)) env[secretVariable(secret)] = this.#placeholder(machineId, secret);
      else {
        const mount = await this.#file(machineId, secret.name, owner);
        env[secretVariable(secret)] = mount.target;
        mounts.push(mount);
      }
    }
    return { env, mounts };
  }

  /** Deletes the files of a machine that has ended. */
  async clear(machineId: string): Promise<void> {
    await rm(this.#folder(machineId), { recursive: true, force: true });
  }

  async #file(
    machineId: string,
    name: string,
    owner: { readonly uid: number; readonly gid: number },
  ): Promise<EngineMount> {
    const folder = this.#folder(machineId);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const source = join(folder, name);
    await writeFile(source, await this.#options.store.value(name), { mode: 0o400, flag: "wx" });
    if (process.getuid?.() === 0) await chown(source, owner.uid, owner.gid);
    const { dev, ino, uid, gid } = await stat(source);
    return {
      source,
      target: `/run/secrets/${name}`,
      access: "ro",
      role: "secret-file",
      identity: { dev, ino },
      mapOwner: false,
      owner: { uid, gid },
    };
  }

  /**
   * Derived instead of stored: the same for a machine's whole life, whatever is stopped, started or killed, and
   * unknown to every other machine. It is worth nothing outside of the machine it was made for.
   */
  #placeholder(machineId: string, { name, prefix = "" }: HeaderSecret): string {
    const random = this.#options.store
      .derive(`${machineId} ${name}`)
      .toString("hex")
      .slice(0, PLACEHOLDER_HEX);
    return `${prefix}dw${random}`;
  }

  #folder(machineId: string): string {
    return join(this.#options.runtimeDir, "secret-files", machineId);
  }
}
