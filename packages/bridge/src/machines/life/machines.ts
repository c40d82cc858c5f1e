import { rm } from "node:fs/promises";
import {
  DenialError,
  DoorwardError,
  durationSeconds,
  type EvidencePredicate,
  type UpRequest,
  type UpResult,
} from "@doorward/contracts";
import type { GuestLink } from "@doorward/guest";
import type { Progress } from "../engine.ts";
import { adoptAll, type Adoption } from "./adopt.ts";
import { watchExpiry } from "./expiry.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { launch } from "./launch.ts";
import { extendLease } from "./lease.ts";
import { holdFolder, type HeldPath } from "../../policy/index.ts";
import { newProtectedNames, releasePins, type RepoToMount } from "../mounts/index.ts";
import type { LifeContext } from "./ports.ts";
import type { MachineRecord } from "./record.ts";
import { allowRequest, fits, letGo, newRecord, type AllowedRequest } from "./request.ts";
import { homeFolder, socketFolder } from "./spec.ts";
import { machineView } from "./view.ts";

/** Who asks for a change of a machine, and how to reach them while it is made. */
export interface Asker {
  readonly subject: string;
  readonly correlationId: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

type EndReason = EvidencePredicate<"machine-end">["reason"];

const GRACE_SECONDS = 2;
const DEFAULT_MACHINES = 50;

/** The machines of this installation: launched, found, stopped, extended, removed, expired and adopted. */
export class Machines implements AsyncDisposable {
  readonly #context: LifeContext;
  readonly #locks = new KeyedLock();
  readonly #links = new Map<string, GuestLink>();
  readonly #watches: Disposable[] = [];

  private constructor(context: LifeContext) {
    this.#context = context;
  }

  /** Adopts what runs, cleans up what was half done, and begins to watch exits and expiry. */
  static async open(
    context: LifeContext,
    signal: AbortSignal,
  ): Promise<{ machines: Machines; adoption: Adoption }> {
    const machines = new Machines(context);
    const adoption = await adoptAll(context, signal);
    for (const [id, link] of adoption.links) machines.#links.set(id, link);
    machines.#watches.push(
      context.engine.onExit((exit) => {
        const record = context.records.list().find((each) => each.containerId === exit.containerId);
        if (record !== undefined)
          machines.#inBackground(machines.#crashed(record.id, exit.exitCode, exit.oomKilled));
      }),
      watchExpiry(
        {
          running: () => machines.list().filter((record) => record.state === "running"),
          expire: (id) => machines.#inBackground(machines.#expired(id)),
          warn: (id, notice) => context.sessions.warn(id, notice),
        },
        context.clocks,
      ),
    );
    return { machines, adoption };
  }

  /** Every machine, oldest first. */
  list(): readonly MachineRecord[] {
    return this.#context.records.list();
  }

  /** The machine of a name or id, if there is one. */
  find(nameOrId: string): MachineRecord | undefined {
    return this.#context.records.find(nameOrId);
  }

  /** The machine of a name or id; MACHINE_NOT_FOUND. */
  get(nameOrId: string): MachineRecord {
    const record = this.find(nameOrId);
    if (record !== undefined) return record;
    throw new DoorwardError({
      code: "MACHINE_NOT_FOUND",
      message: `No machine is called "${nameOrId}"`,
      hint: "doorward ls",
    });
  }

  /** Link to the guest of a running machine; MACHINE_NOT_RUNNING. */
  link(nameOrId: string): GuestLink {
    const record = this.get(nameOrId);
    const link = record.state === "running" ? this.#links.get(record.id) : undefined;
    if (link !== undefined) return link;
    throw new DoorwardError({
      code: "MACHINE_NOT_RUNNING",
      message: `Machine "${record.name}" is ${record.state}${record.stateReason === null ? "" : `: ${record.stateReason}`}`,
      hint: `doorward start ${record.name}`,
    });
  }

  /** Returns the machine that fits a request, starting it when it is stopped, or launches a new one. */
  async up(request: UpRequest, asker: Asker): Promise<UpResult> {
    const allowed = await allowRequest(this.#context, request);
    try {
      const { result } = await this.#locks.run("up", () => Promise.resolve(this.#choose(allowed, asker)));
      return await result;
    } finally {
      await letGo(allowed.repos);
    }
  }

  /** Launches a stopped machine again: policy and fingerprint anew. */
  async start(nameOrId: string, timeToLive: string | undefined, asker: Asker): Promise<MachineRecord> {
    const { id } = this.get(nameOrId);
    return this.#locks.run(id, async () => {
      const record = this.get(id);
      if (record.state === "running") return record;
      const seconds = timeToLive === undefined ? record.timeToLiveSeconds : durationSeconds(timeToLive);
      return this.#relaunch({ ...record, timeToLiveSeconds: seconds }, "start", asker);
    });
  }

  /** Stops a machine; its definition, home and clones stay. */
  async stop(nameOrId: string, subject: string, correlationId: string): Promise<MachineRecord> {
    const { id } = this.get(nameOrId);
    return this.#locks.run(id, () =>
      this.#end(id, "stopped", { subject, correlationId, why: "stopped by command" }),
    );
  }

  /** Gives a running machine more time, counted from its present end. */
  async extend(nameOrId: string, duration: string): Promise<MachineRecord> {
    const { id } = this.get(nameOrId);
    return this.#locks.run(id, () => {
      const record = this.get(id);
      if (record.state !== "running" || record.lease === null) {
        const message = `Cannot extend "${record.name}": it is ${record.state}`;
        throw new DoorwardError({
          code: "MACHINE_NOT_RUNNING",
          message,
          hint: `doorward start ${record.name}`,
        });
      }
      const extended = { ...record, lease: extendLease(record.lease, durationSeconds(duration)) };
      this.#context.records.put(extended);
      return Promise.resolve(extended);
    });
  }

  /** Deletes a machine with its home and clones; refuses to drop unreviewed changes unless forced. */
  async remove(nameOrId: string, force: boolean, subject: string, correlationId: string): Promise<string> {
    const { id } = this.get(nameOrId);
    await this.#locks.run(id, async () => {
      const record = this.get(id);
      if (!force && (await this.#context.reviews.hasUnreviewed(record))) {
        throw new DoorwardError({
          code: "CHANGES_UNREVIEWED",
          message: `Cannot remove "${record.name}": it has changes that nobody brought back`,
          hint: `doorward review ${record.name}, or doorward rm --force ${record.name}`,
        });
      }
      await this.#end(id, "removed", { subject, correlationId, why: "removed by command" });
      await this.#context.endGrants(id, `machine "${record.name}" was removed`);
      await this.#forget(id);
    });
    return id;
  }

  /** Last lines of a machine's own output. */
  async logs(nameOrId: string, lines: number): Promise<string> {
    const { containerId } = this.get(nameOrId);
    return containerId === null ? "" : this.#context.engine.logs(containerId, lines);
  }

  /** Judges every running machine by the policy in force now; what is no longer allowed is stopped. Answers how many were. */
  async rejudge(): Promise<number> {
    let cut = 0;
    for (const { id, state } of this.list()) {
      if (state !== "running") continue;
      const refusal = await this.#refusal(id);
      if (refusal === undefined) continue;
      const why = `policy changed: ${refusal.message}`.slice(0, 300);
      await this.#locks.run(id, () =>
        this.#end(id, "stopped", { subject: "operator:policy", correlationId: id, why }),
      );
      cut += 1;
    }
    return cut;
  }

  /** Lets go of the links; machines keep running and are adopted by the next bridge. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const watch of this.#watches.splice(0)) watch[Symbol.dispose]();
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.allSettled(links.map((link) => link[Symbol.asyncDispose]()));
  }

  /** Decides, with no other request deciding beside it, which machine a request gets; the launch itself goes on outside. */
  #choose(allowed: AllowedRequest, asker: Asker): { readonly result: Promise<UpResult> } {
    const { request } = allowed;
    const existing = request.fresh === true ? undefined : this.list().find((record) => fits(record, allowed));
    if (existing !== undefined) return { result: this.#reuse(existing, request, asker) };
    this.#refuseName(request.name);
    this.#refuseNumber();
    const fresh = newRecord(this.#context, allowed, asker.subject);
    this.#context.records.put(fresh);
    return { result: this.#locks.run(fresh.id, () => this.#first(fresh, allowed, asker)) };
  }

  async #reuse({ id }: MachineRecord, request: UpRequest, asker: Asker): Promise<UpResult> {
    const record = await this.start(id, request.timeToLive, asker);
    return { machine: machineView(record), reused: true, listed: record.listed };
  }

  /** First launch of a new machine; nothing of it stays when it fails. */
  async #first(fresh: MachineRecord, allowed: AllowedRequest, asker: Asker): Promise<UpResult> {
    try {
      const record =
        allowed.request.review === true ? await this.#cloned(fresh, allowed.repos, asker) : fresh;
      const trigger = allowed.request.temporary === true ? "run" : "up";
      const running = await this.#launch(record, allowed.repos, trigger, asker);
      return { machine: machineView(running), reused: false, listed: running.listed };
    } catch (error) {
      await this.#forget(fresh.id);
      throw error;
    }
  }

  async #cloned(record: MachineRecord, held: readonly HeldPath[], asker: Asker): Promise<MachineRecord> {
    asker.progress({ step: "Cloning for review" });
    const repos = [...record.repos];
    for (const [at, repo] of held.entries()) {
      const made = await this.#context.reviews.create(record.id, at, repo);
      const recorded = repos[at];
      if (recorded !== undefined) repos[at] = { ...recorded, ...made };
    }
    const cloned = { ...record, repos };
    this.#context.records.put(cloned);
    return cloned;
  }

  async #relaunch(record: MachineRecord, trigger: "up" | "start", asker: Asker): Promise<MachineRecord> {
    const held: HeldPath[] = [];
    const previous = this.get(record.id);
    try {
      for (const { hostPath, access, review } of record.repos) {
        const ask = { profile: record.profile.name, access: review ? ("ro" as const) : access };
        held.push(await this.#context.policy.holdRepo(hostPath, ask));
      }
      const launching: MachineRecord = { ...record, state: "launching", stateReason: null };
      this.#context.records.put(launching);
      return await this.#launch(launching, held, trigger, asker);
    } catch (error) {
      this.#context.records.put({ ...previous, containerId: null });
      throw error;
    } finally {
      await letGo(held);
    }
  }

  async #launch(
    record: MachineRecord,
    held: readonly HeldPath[],
    trigger: "up" | "start" | "run",
    asker: Asker,
  ): Promise<MachineRecord> {
    const clones: HeldPath[] = [];
    try {
      const repos: RepoToMount[] = [];
      for (const [at, repo] of held.entries()) {
        const clone = record.repos[at]?.clone ?? null;
        if (clone === null) repos.push({ held: repo });
        else {
          const inside = await holdFolder(clone, { path: clone, access: "rw", rule: "review.clone" });
          clones.push(inside);
          repos.push({ held: inside, hostPath: repo.resolved, clone: true });
        }
      }
      const { record: running, link } = await launch(this.#context, { record, repos, trigger, ...asker });
      this.#links.set(running.id, link);
      return running;
    } finally {
      await letGo(clones);
    }
  }

  /** Ends a machine that may run: sessions first, then the container, then the record of it. */
  async #end(
    id: string,
    reason: EndReason,
    end: { subject: string; correlationId: string; why: string; exitCode?: number },
  ): Promise<MachineRecord> {
    const record = this.get(id);
    if (record.state !== "running" && record.containerId === null) return record;
    this.#context.records.put({ ...record, state: "stopping" });
    this.#context.sessions.closeMachine(id, end.why);
    await this.#dropLink(id);
    if (record.containerId !== null) await this.#context.engine.remove(record.containerId, GRACE_SECONDS);
    await rm(socketFolder(this.#context, id), { recursive: true, force: true });
    const notices = [...record.notices, ...(await this.#appeared(record))].slice(-100);
    const stopped: MachineRecord = {
      ...record,
      state: "stopped",
      stateReason: end.why,
      containerId: null,
      notices,
    };
    this.#context.records.put(stopped);
    await this.#context.evidence.append({
      type: "machine-end",
      correlationId: end.correlationId,
      subject: end.subject,
      machine: { id, name: record.name },
      grant: null,
      policyHash: this.#context.policy.hash,
      reason,
      exitCode: end.exitCode ?? null,
      fingerprint: record.fingerprint?.digest ?? null,
      detail: end.why.slice(0, 500),
    });
    return stopped;
  }

  /** Protected names that appeared in the writable repos of a machine, as notices for the operator; lets go of pins. */
  async #appeared(record: MachineRecord): Promise<string[]> {
    const notices: string[] = [];
    const others = this.list().filter((other) => other.id !== record.id && other.state === "running");
    for (const protection of record.protections) {
      const { hostPath } = protection;
      const protect = this.#context.policy.policy.protect ?? [];
      const names = await newProtectedNames(protection, protect, record.profile).catch(() => []);
      notices.push(
        ...names.map(
          (name) => `${hostPath}: "${name}" appeared while the machine ran; look at it before you trust it`,
        ),
      );
      const shared = others.some((other) => other.protections.some((each) => each.hostPath === hostPath));
      if (!shared) await releasePins(protection).catch(() => undefined);
    }
    return notices.map((notice) => notice.slice(0, 1000));
  }

  async #crashed(id: string, exitCode: number, oomKilled: boolean): Promise<void> {
    await this.#locks.run(id, async () => {
      if (this.get(id).state !== "running") return;
      const why = oomKilled ? "killed: out of memory" : `its first process ended with exit code ${exitCode}`;
      await this.#end(id, "crashed", { ...this.#byBridge(id), why, exitCode });
    });
  }

  async #expired(id: string): Promise<void> {
    if (this.#locks.isHeld(id)) return;
    await this.#locks.run(id, async () => {
      if (this.get(id).state !== "running") return;
      await this.#end(id, "expired", { ...this.#byBridge(id), why: "its time to live was over" });
    });
  }

  #byBridge(id: string): { subject: string; correlationId: string } {
    return { subject: "operator:bridge", correlationId: id };
  }

  async #refusal(id: string): Promise<DoorwardError | undefined> {
    const { repos, profile } = this.get(id);
    try {
      this.#context.policy.profile(profile.name);
      for (const { hostPath, access, review } of repos) {
        const ask = { profile: profile.name, access: review ? ("ro" as const) : access };
        await (await this.#context.policy.holdRepo(hostPath, ask))[Symbol.asyncDispose]();
      }
      return undefined;
    } catch (error) {
      if (error instanceof DenialError) return error;
      if (error instanceof DoorwardError && error.code === "PROFILE_NOT_FOUND") return error;
      throw error;
    }
  }

  /** Removes everything of a machine that is kept on disk. */
  async #forget(id: string): Promise<void> {
    await this.#dropLink(id);
    await rm(socketFolder(this.#context, id), { recursive: true, force: true });
    await rm(homeFolder(this.#context, id), { recursive: true, force: true });
    await this.#context.reviews.remove(id);
    this.#context.records.delete(id);
  }

  async #dropLink(id: string): Promise<void> {
    const link = this.#links.get(id);
    this.#links.delete(id);
    await link?.[Symbol.asyncDispose]();
  }

  #refuseName(name: string | undefined): void {
    if (name === undefined || this.find(name) === undefined) return;
    throw new DoorwardError({
      code: "MACHINE_EXISTS",
      message: `Cannot launch "${name}": a machine of this name has other repos or another profile`,
      hint: `doorward rm ${name}, or another --name`,
    });
  }

  #refuseNumber(): void {
    const most = this.#context.policy.policy.limits?.machines ?? DEFAULT_MACHINES;
    const running = this.list().filter(({ state }) => state === "running" || state === "launching").length;
    if (running < most) return;
    throw new DenialError({
      code: "MACHINE_LIMIT",
      rule: "policy.limits.machines",
      message: `Cannot launch another machine: ${running} of ${most} run`,
      hint: "doorward stop NAME, or raise limits.machines in policy.yaml",
    });
  }

  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#context.log.error({ err: error }, "machines: work in the background failed"),
    );
  }
}
