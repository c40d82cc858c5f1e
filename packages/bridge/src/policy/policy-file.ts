import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  DoorwardError,
  toDoorwardError,
  type AgentMachineProfile,
  type DoorName,
  type Operation,
  type PathVerdict,
  type Policy,
  type PolicyGrantRule,
  type SecureHostInterfaceProfile,
} from "@doorward/contracts";
import type { ContractInForce } from "../interfaces/index.ts";
import { withGrantRule, withoutRoot, withPreset, withRoot, type EnabledPreset } from "./edit-policy.ts";
import { decideInForce, operationsOf, profileOf } from "./decide-in-force.ts";
import type { GrantAsk } from "./grant-rules.ts";
import { denial, holdRepo, type HeldPath, type HoldAsk } from "./hold-repo.ts";
import { judgePath, judgeRoot, type PathAsk, type PathRules } from "./judge-path.ts";
import { FolderWatch } from "./folder-watch.ts";
import { currentPathHost, type InstallationFolders, type PathHost } from "./path-host.ts";
import { expandPath } from "./path-text.ts";
import { joinPolicy, interfacesFolder, readInForce, type InForce } from "./read-in-force.ts";
import { readPolicyFile, removePolicyFile, writePolicyFile } from "./policy-storage.ts";

const SETTLE_MS = 100;
const POLL_MS = 5_000;

/** What happened to the policy: another one is in force, or the file is invalid and the previous one stays. */
export type PolicyEvent =
  | { readonly kind: "changed"; readonly previousHash: string; readonly hash: string }
  | { readonly kind: "problem"; readonly error: DoorwardError };

/** A policy as an edit would make it. */
export interface PlannedPolicy {
  readonly hash: string;
  decideGrant(ask: GrantAsk): { readonly rule: string };
}

/** The policy in force: read from `policy.yaml`, edited through commands, and asked for every decision. */
export class PolicyFile {
  readonly path: string;
  readonly host: PathHost;
  #inForce: InForce;
  #problem: DoorwardError | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Set<(event: PolicyEvent) => void>();

  private constructor(path: string, host: PathHost, inForce: InForce) {
    this.path = path;
    this.host = host;
    this.#inForce = inForce;
  }

  /** Reads `policy.yaml`; without a file nothing is allowed, with an invalid one this throws `POLICY_INVALID`. */
  static async load(folders: InstallationFolders, host?: PathHost): Promise<PolicyFile> {
    const path = join(folders.configDir, "policy.yaml");
    const at = host ?? (await currentPathHost(folders));
    return new PolicyFile(path, at, await readInForce(path, at));
  }

  get policy(): Policy {
    return this.#inForce.policy;
  }

  /** Digest of the effective policy. */
  get hash(): string {
    return this.#inForce.hash;
  }

  get exists(): boolean {
    return this.#inForce.exists;
  }

  /** Why the file as it is now is not in force; null when it is. */
  get problem(): DoorwardError | null {
    return this.#problem;
  }

  /** A profile with its defaults filled in; throws `PROFILE_NOT_FOUND`. */
  profile(name: string): AgentMachineProfile {
    return profileOf(this.#inForce, name);
  }

  /** Names of all profiles, `default` included. */
  profileNames(): string[] {
    return [...this.#inForce.interfaces.profiles.keys()];
  }

  /** How the host reaches a door of a profile; null when nothing may be done there. */
  interfaceProfile(profile: string, door: DoorName): SecureHostInterfaceProfile | null {
    return this.#inForce.interfaces.interfaceProfile(this.profile(profile).name, door);
  }

  /** Operations that grants may hold at a door of a profile. */
  operations(profile: string, door: DoorName): Operation[] {
    return operationsOf(this.#inForce, profile, door);
  }

  /** The documents in force for every profile, the operator's and the derived ones. */
  contracts(): readonly ContractInForce[] {
    return this.#inForce.interfaces.list();
  }

  /** Folder of the operator's interface documents. */
  get interfacesFolder(): string {
    return interfacesFolder(this.path);
  }

  /** Names the rule that allows a grant, or throws a {@link DenialError}. */
  decideGrant(ask: GrantAsk): { readonly rule: string } {
    return decideInForce(this.#inForce, ask, this.path);
  }

  /** Judges a path; never throws for what it finds there. */
  async judgePath(path: string, ask: PathAsk = {}): Promise<PathVerdict> {
    return judgePath(path, ask, this.#rules());
  }

  /** Resolves, judges and holds a repo; throws a {@link DenialError} with code, rule and hint. */
  async holdRepo(path: string, ask: HoldAsk): Promise<HeldPath> {
    return holdRepo(path, ask, this.#rules());
  }

  /** Reads the file again. An invalid one throws and leaves the previous policy in force; answers whether it changed. */
  async reload(): Promise<boolean> {
    return this.#inTurn(() => this.#reload());
  }

  /** Adds an allowed root to the file, or changes its access, and puts it in force. */
  async allow(path: string, access: "ro" | "rw"): Promise<void> {
    await this.#inTurn(async () => {
      await this.#reload();
      const written = await this.#checkRoot(path);
      await this.#write(withRoot(this.#inForce.text, this.policy, written, access, this.host.home));
    });
  }

  /** Removes an allowed root from the file and puts that in force; throws when there is none of this path. */
  async remove(path: string): Promise<void> {
    await this.#inTurn(async () => {
      await this.#reload();
      const text = withoutRoot(this.#inForce.text ?? "", this.policy, path, this.host.home);
      if (text !== null) return this.#write(text);
      throw new DoorwardError({
        code: "PATH_NOT_ALLOWED",
        message: `Cannot remove "${path}": the policy has no such root`,
        hint: "doorward policy show",
      });
    });
  }

  /** Adds a preset of actions to the file, or changes it, and puts it in force; throws when a check refuses it. */
  async enablePreset(entry: EnabledPreset): Promise<void> {
    await this.#inTurn(async () => {
      await this.#reload();
      await this.#write(withPreset(this.#inForce.text, this.policy, entry));
    });
  }

  /** Adds a rule of grants to the file, and puts it in force; throws when a check refuses it. */
  async addGrantRule(rule: PolicyGrantRule): Promise<void> {
    await this.#inTurn(async () => {
      await this.#reload();
      await this.#write(withGrantRule(this.#inForce.text, this.policy, rule));
    });
  }

  /**
   * Adds a rule of grants for one piece of work. Nothing is written unless `judge` passes the policy as it would be; when
   * the work fails the file is put back, unless somebody else has edited it meanwhile.
   */
  async withGrantRule<T>(
    rule: PolicyGrantRule,
    judge: (planned: PlannedPolicy) => void,
    work: () => Promise<T>,
  ): Promise<T> {
    return this.#inTurn(async () => {
      await this.#reload();
      const before = this.#inForce;
      const text = withGrantRule(before.text, before.policy, rule);
      const planned = await joinPolicy(text, this.path, this.host);
      judge({ hash: planned.hash, decideGrant: (ask) => decideInForce(planned, ask, this.path) });
      try {
        await this.#write(text);
        return await work();
      } catch (error) {
        await this.#putBack(before, text).catch((cause: unknown) => {
          throw notPutBack(toDoorwardError(error), this.path, cause);
        });
        throw error;
      }
    });
  }

  /** Calls back when another policy is in force or the file turned invalid, until disposed. */
  onEvent(listener: (event: PolicyEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Reloads when the file changes, until aborted; what goes wrong is told to the listeners. */
  async watch(signal: AbortSignal): Promise<void> {
    const folder = join(this.path, "..");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    let settling: NodeJS.Timeout | undefined;
    const soon = (): void => {
      clearTimeout(settling);
      settling = setTimeout(() => {
        own.look();
        documents.look();
        this.reload().catch(() => undefined);
      }, SETTLE_MS).unref();
    };
    const own = new FolderWatch(folder, soon);
    const documents = new FolderWatch(this.interfacesFolder, soon);
    for (const watched of [own, documents]) watched.look();
    // A folder that is itself replaced is not seen by its watch, and a host may have no watch left.
    const poll = setInterval(soon, POLL_MS).unref();
    const stop = (): void => {
      clearTimeout(settling);
      clearInterval(poll);
      for (const watched of [own, documents]) watched[Symbol.dispose]();
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  }

  #rules(): PathRules {
    return { policy: this.policy, file: this.path, host: this.host };
  }

  async #checkRoot(path: string): Promise<string> {
    const verdict = await judgeRoot(path, this.#rules());
    if (!verdict.allowed) throw denial(verdict);
    return expandPath(path, this.host.home);
  }

  async #write(text: string): Promise<void> {
    await joinPolicy(text, this.path, this.host);
    await writePolicyFile(this.path, text, this.#inForce.exists ? this.#inForce.mode : 0o600);
    await this.#reload();
  }

  async #putBack({ exists, text, mode }: InForce, written: string): Promise<void> {
    if ((await readPolicyFile(this.path))?.text === written) {
      if (exists && text !== null) await writePolicyFile(this.path, text, mode);
      else await removePolicyFile(this.path);
    }
    await this.#reload();
  }

  async #reload(): Promise<boolean> {
    const previous = this.#inForce;
    try {
      this.#inForce = await readInForce(this.path, this.host);
    } catch (error) {
      this.#report(toDoorwardError(error));
      throw error;
    }
    this.#problem = null;
    const changed = this.#inForce.hash !== previous.hash;
    if (changed) this.#emit({ kind: "changed", previousHash: previous.hash, hash: this.#inForce.hash });
    return changed;
  }

  #report(error: DoorwardError): void {
    const known = this.#problem?.message === error.message;
    this.#problem = error;
    if (!known) this.#emit({ kind: "problem", error });
  }

  #emit(event: PolicyEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }
}

function notPutBack({ code, message }: DoorwardError, file: string, cause: unknown): DoorwardError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DoorwardError({
    code,
    message: `${message}; the rule that was added for it may still be in "${file}": ${why}`,
    hint: "doorward policy show",
    cause,
  });
}
