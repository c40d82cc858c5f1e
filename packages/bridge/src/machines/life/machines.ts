import {
  DoorwardError,
  durationSeconds,
  toDoorwardError,
  type UpRequest,
  type UpResult,
} from "@doorward/contracts";
import type { GuestLink } from "@doorward/guest";
import type { EngineExit } from "../engine.ts";
import { adoptAll, type Adoption } from "./adopt.ts";
import { byBridge, forgetMachine, settleEnded, type Ending } from "./end.ts";
import { watchExpiry } from "./expiry.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { judgeMounted } from "./judge-mounted.ts";
import type { Asker, Launched } from "./launch.ts";
import { cloneForReview, launchHeld, relaunch } from "./launch-held.ts";
import { extendLease } from "./lease.ts";
import { keptNotices } from "./notices.ts";
import type { LifeContext } from "./ports.ts";
import { watchProtections } from "./protection-watch.ts";
import type { MachineRecord } from "./record.ts";
import { halfRemoved, nameTaken, refuseNumber, undeletable } from "./refusals.ts";
import { allowRequest, fits, letGo, newRecord, withToolsInForce, type AllowedRequest } from "./request.ts";
import { machineView } from "./view.ts";
import { unknownMachine } from "../../unknown-machine.ts";

const GRACE_SECONDS = 2;
const GUEST_BACK_MS = 5_000;

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
    for (const [id, link] of adoption.links) machines.#serve({ record: machines.get(id), link });
    machines.#watch();
    return { machines, adoption };
  }

  #watch(): void {
    const { engine, clocks, sessions } = this.#context;
    const running = (): readonly MachineRecord[] =>
      this.list().filter((record) => record.state === "running");
    const warn = (id: string, notice: string): void => sessions.warn(id, notice);
    this.#watches.push(
      engine.onExit((exit) => this.#crashed(exit)),
      watchExpiry({ running, expire: (id) => this.#expired(id), warn }, clocks),
      watchProtections({ running, engine, lost: (id, targets) => this.#unprotected(id, targets) }),
    );
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
    throw unknownMachine(nameOrId, this.#context.records.names());
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

  /** The same link once the guest is connected, which takes a moment after a bridge restart. */
  async connected(nameOrId: string, signal: AbortSignal): Promise<GuestLink> {
    const link = this.link(nameOrId);
    await link.ready(AbortSignal.any([signal, AbortSignal.timeout(GUEST_BACK_MS)]));
    return link;
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
      if (record.removing === true) throw halfRemoved(record.name);
      const seconds = timeToLive === undefined ? record.timeToLiveSeconds : durationSeconds(timeToLive);
      const profile = withToolsInForce(this.#context.policy, record.profile);
      const changed = { ...record, profile, timeToLiveSeconds: seconds };
      return this.#serve(await relaunch(this.#context, record, changed, asker));
    });
  }

  /** Stops a machine; its definition, home and clones stay. */
  async stop(nameOrId: string, subject: string, correlationId: string): Promise<MachineRecord> {
    const { id } = this.get(nameOrId);
    return this.#locks.run(id, () =>
      this.#end(id, { reason: "stopped", subject, correlationId, why: "stopped by command" }),
    );
  }

  /** Gives a running machine more time, counted from its present end; the record is durable before it has it. */
  async extend(
    nameOrId: string,
    duration: string,
    subject: string,
    correlationId: string,
  ): Promise<MachineRecord> {
    const { id } = this.get(nameOrId);
    return this.#locks.run(id, async () => {
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
      await this.#context.evidence.append({
        type: "machine-extend",
        correlationId,
        subject,
        machine: { id, name: record.name },
        grant: null,
        policyHash: this.#context.policy.hash,
        previousExpiresAt: record.lease.expiresAt,
        expiresAt: extended.lease.expiresAt,
      });
      this.#context.records.put(extended);
      return extended;
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
      await this.#end(id, { reason: "removed", subject, correlationId, why: "removed by command" });
      await this.#context.endGrants(id, `machine "${record.name}" was removed`);
      this.#context.records.putEnding({ ...this.get(id), removing: true });
      await forgetMachine(this.#context, id).catch((cause: unknown) => {
        throw undeletable(record.name, cause);
      });
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
      await this.#endRunning(id, "stopped", `policy changed: ${refusal.message}`);
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
    if (request.name !== undefined && this.find(request.name) !== undefined) throw nameTaken(request.name);
    refuseNumber(this.#context);
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
      const { request, repos } = allowed;
      const record =
        request.review === true ? await cloneForReview(this.#context, fresh, repos, asker) : fresh;
      const trigger = request.temporary === true ? "run" : "up";
      const running = this.#serve(await launchHeld(this.#context, record, repos, trigger, asker));
      return { machine: machineView(running), reused: false, listed: running.listed };
    } catch (error) {
      await this.#dropLink(fresh.id);
      await forgetMachine(this.#context, fresh.id);
      throw error;
    }
  }

  /** Ends a machine that may run: sessions first, then the container, then the record of it. */
  async #end(id: string, ending: Ending): Promise<MachineRecord> {
    const record = this.get(id);
    if (record.state !== "running" && record.containerId === null) return record;
    this.#context.records.putEnding({ ...record, state: "stopping" });
    this.#context.sessions.closeMachine(id, ending.why);
    await this.#context.egress.end(id, ending.why);
    await this.#dropLink(id);
    if (record.containerId !== null) await this.#context.engine.remove(record.containerId, GRACE_SECONDS);
    return settleEnded(this.#context, record, ending);
  }

  /** Ends a machine because of something that the bridge found, if it still runs then. */
  async #endRunning(id: string, reason: Ending["reason"], why: string, exitCode?: number): Promise<void> {
    await this.#locks.run(id, async () => {
      const record = this.find(id);
      if (record?.state === "running") await this.#end(id, byBridge(record, reason, why, exitCode));
    });
  }

  #crashed({ containerId, exitCode, oomKilled }: EngineExit): void {
    const record = this.list().find((each) => each.containerId === containerId);
    if (record === undefined) return;
    const why = oomKilled ? "killed: out of memory" : `its first process ended with exit code ${exitCode}`;
    this.#inBackground(this.#endRunning(record.id, "crashed", why, exitCode));
  }

  #expired(id: string): void {
    if (!this.#locks.isHeld(id))
      this.#inBackground(this.#endRunning(id, "expired", "its time to live was over"));
  }

  /** A protection is gone because the host replaced the file under it; said once, to everybody who looks. */
  #unprotected(id: string, targets: readonly string[]): void {
    const record = this.find(id);
    const [notice = ""] = keptNotices(
      [],
      [`The host replaced ${targets.join(", ")}: this machine can write it until it is started again`],
    );
    if (record === undefined || record.notices.includes(notice)) return;
    this.#context.records.put({ ...record, notices: keptNotices(record.notices, [notice]) });
    this.#context.sessions.warn(id, notice);
  }

  /** Why the policy does not allow a machine any more; what can't be judged is not allowed. */
  async #refusal(id: string): Promise<DoorwardError | undefined> {
    try {
      await judgeMounted(this.#context, this.get(id));
      return undefined;
    } catch (error) {
      return toDoorwardError(error);
    }
  }

  #serve({ record, link }: Launched): MachineRecord {
    const { id, name } = record;
    this.#links.set(id, link);
    this.#context.egress.start({ id, name }, link);
    return record;
  }

  async #dropLink(id: string): Promise<void> {
    const link = this.#links.get(id);
    this.#links.delete(id);
    await link?.[Symbol.asyncDispose]();
  }

  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#context.log.error({ err: error }, "machines: work in the background failed"),
    );
  }
}
