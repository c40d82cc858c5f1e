import { watch } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  doorOf,
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
import { InterfaceSet, readDocuments, type ContractInForce } from "../interfaces/index.ts";
import { withGrantRule, withoutRoot, withPreset, withRoot, type EnabledPreset } from "./edit-policy.ts";
import { EMPTY_POLICY, policyHash } from "./effective-policy.ts";
import { checkAgentToolAsk } from "./agent-tool-grants.ts";
import { notOffered, operatorsOnly } from "./grant-refusals.ts";
import { decideGrant, type GrantAsk } from "./grant-rules.ts";
import { denial, holdRepo, type HeldPath, type HoldAsk } from "./hold-repo.ts";
import { judgePath, judgeRoot, type PathAsk, type PathRules } from "./judge-path.ts";
import { FolderWatch } from "./folder-watch.ts";
import { parsePolicy } from "./parse-policy.ts";
import { currentPathHost, type InstallationFolders, type PathHost } from "./path-host.ts";
import { expandPath } from "./path-text.ts";
import { readPolicyFile, writePolicyFile } from "./policy-storage.ts";

const SETTLE_MS = 100;
const POLL_MS = 5_000;

interface InForce {
  readonly policy: Policy;
  readonly interfaces: InterfaceSet;
  readonly hash: string;
  readonly exists: boolean;
  readonly text: string | null;
  readonly mode: number;
}

/** What happened to the policy: another one is in force, or the file is invalid and the previous one stays. */
export type PolicyEvent =
  | { readonly kind: "changed"; readonly previousHash: string; readonly hash: string }
  | { readonly kind: "problem"; readonly error: DoorwardError };

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
    const profile = this.#inForce.interfaces.profiles.get(name);
    if (profile !== undefined) return profile;
    const known = this.profileNames().join(", ");
    throw new DoorwardError({
      code: "PROFILE_NOT_FOUND",
      message: `Cannot use profile "${name}": the policy has ${known}`,
      hint: `doorward up --profile ${this.profileNames()[0] ?? "default"}`,
    });
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
    return this.#inForce.interfaces.operations(this.profile(profile).name, door);
  }

  /** The documents in force for every profile, the operator's and the derived ones. */
  contracts(): readonly ContractInForce[] {
    return this.#inForce.interfaces.list();
  }

  /** Folder of the operator's interface documents. */
  get interfacesFolder(): string {
    return folderOf(this.path);
  }

  /** Names the rule that allows a grant, or throws a {@link DenialError}. */
  decideGrant(ask: GrantAsk): { readonly rule: string } {
    const { name, doors } = this.profile(ask.profile);
    const offered = ask.doors.flatMap((door) => this.operations(name, door));
    const missing = ask.operations.find((operation) => !offered.includes(operation));
    if (missing === undefined) {
      const decided = decideGrant(this.policy, ask, this.path);
      checkAgentToolAsk(ask, ask.agentTool === undefined ? (doors["agent-tool"] ?? null) : ask.agentTool);
      const useless = ask.subject.startsWith("operator:")
        ? undefined
        : this.#inForce.interfaces.operatorsOnly(name, ask.operations);
      if (useless === undefined) return decided;
      throw operatorsOnly(ask, useless, this.path);
    }
    const rule = this.#inForce.interfaces.ruleAgainst(name, doorOf(missing), missing);
    throw notOffered(ask, missing, rule ?? `policy.profiles.${name}.doors`, this.path);
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
        documents.look();
        this.reload().catch(() => undefined);
      }, SETTLE_MS).unref();
    };
    const watcher = watch(folder, { persistent: false, signal }, soon).on("error", () => undefined);
    const documents = new FolderWatch(this.interfacesFolder, soon);
    documents.look();
    // A folder that is itself replaced is not seen by the watcher.
    const poll = setInterval(soon, POLL_MS).unref();
    const stop = (): void => {
      clearTimeout(settling);
      clearInterval(poll);
      watcher.close();
      documents[Symbol.dispose]();
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
    await inForce(text, this.path, this.host);
    await writePolicyFile(this.path, text, this.#inForce.exists ? this.#inForce.mode : 0o600);
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

async function readInForce(path: string, host: PathHost): Promise<InForce> {
  const stored = await readPolicyFile(path);
  const joined = await inForce(stored?.text ?? null, path, host);
  return { ...joined, exists: stored !== null, text: stored?.text ?? null, mode: stored?.mode ?? 0o600 };
}

/** A policy's text together with the documents that lie beside it: both are in force, or neither. */
async function inForce(
  text: string | null,
  path: string,
  host: PathHost,
): Promise<Pick<InForce, "policy" | "interfaces" | "hash">> {
  const documents = await readDocuments(folderOf(path));
  const named = documents.flatMap(({ document }) =>
    document.type === "AgentMachineProfile" ? [document.name] : [],
  );
  const policy = text === null ? EMPTY_POLICY : parsePolicy(text, path, new Set(named), host).policy;
  const interfaces = new InterfaceSet(policy, documents);
  return { policy, interfaces, hash: policyHash(policy, interfaces.documents) };
}

function folderOf(policyFile: string): string {
  return join(policyFile, "..", "interfaces");
}
