import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { DoorwardError, type ReviewView, type RouteInput, type RouteResult } from "@doorward/contracts";
import type { GuestDialer } from "@doorward/guest";
import type { EvidenceLog } from "../evidence/index.ts";
import type { MachineRecord, ReviewClones } from "../machines/life/index.ts";
import {
  bringBranch,
  bringPatch,
  collectChanges,
  createReviewClone,
  hasUnreviewedChanges,
  type ReviewTarget,
} from "../machines/review/index.ts";
import type { HeldPath, PolicyFile } from "../policy/index.ts";
import { runInMachine } from "./run-in-machine.ts";

type Bring = RouteInput<"machines.bring">["body"];

/** What reviews are connected to. */
export interface ReviewSources {
  readonly stateDir: string;
  readonly evidence: Pick<EvidenceLog, "append">;
  readonly policy: PolicyFile;
}

/** Who brings changes back. */
export interface Reviewer {
  readonly subject: string;
  readonly correlationId: string;
  readonly signal: AbortSignal;
}

interface Target extends ReviewTarget {
  readonly machinePath: string;
}

/** Review mode: private clones for machines, their changes shown, and brought back as the operator says. */
export class Reviews implements ReviewClones {
  readonly #sources: ReviewSources;
  /** What was shown, by clone and head: the counts go into the record of what was brought. */
  readonly #shown = new Map<string, ReviewView>();

  constructor(sources: ReviewSources) {
    this.#sources = sources;
  }

  async create(
    machineId: string,
    index: number,
    held: HeldPath,
  ): Promise<{ readonly clone: string; readonly base: string }> {
    const { clone, base } = await createReviewClone({
      held,
      folder: join(this.#folder(machineId), String(index)),
    });
    return { clone, base };
  }

  async hasUnreviewed(record: MachineRecord): Promise<boolean> {
    for (const { clone } of targets(record)) {
      if (await hasUnreviewedChanges(clone)) return true;
    }
    return false;
  }

  async remove(machineId: string): Promise<void> {
    await rm(this.#folder(machineId), { recursive: true, force: true });
  }

  /** The changes of every clone of a machine, packed inside it and shown from a quarantine. */
  async show(record: MachineRecord, link: GuestDialer, signal: AbortSignal): Promise<readonly ReviewView[]> {
    const found = targets(record);
    if (found.length === 0) {
      throw new DoorwardError({
        code: "REVIEW_FAILED",
        message: `Cannot review "${record.name}": it works on the repos themselves, not on private clones`,
        hint: "git diff in the repo; doorward up --review makes a machine with clones",
      });
    }
    const views: ReviewView[] = [];
    for (const target of found) {
      const view = await collectChanges({ ...target, runInMachine: runInMachine(link), signal });
      this.#shown.set(`${target.clone} ${view.head}`, view);
      views.push(view);
    }
    return views;
  }

  /** Brings changes that were looked at back into the real repo, and records it. */
  async bring(record: MachineRecord, ask: Bring, reviewer: Reviewer): Promise<RouteResult<"machines.bring">> {
    const target = choose(record, ask.repo);
    const request = { ...target, head: ask.head, signal: reviewer.signal };
    const commit =
      ask.as === "branch"
        ? await this.#branch(record, request, ask.name)
        : await bringPatch(request, ask.name);
    await this.#record(record, target, ask, reviewer);
    return { repo: target.repo, as: ask.as, name: ask.name, commit };
  }

  async #branch(record: MachineRecord, request: Target & { head: string }, branch: string): Promise<string> {
    const ask = { profile: record.profile.name, access: "ro" } as const;
    await using held = await this.#sources.policy.holdRepo(request.repo, ask);
    return await bringBranch(request, held, branch);
  }

  async #record(record: MachineRecord, target: Target, ask: Bring, reviewer: Reviewer): Promise<void> {
    const view = this.#shown.get(`${target.clone} ${ask.head}`);
    const files = view?.files ?? [];
    const sum = (counts: readonly (number | null)[]): number =>
      counts.reduce<number>((all, each) => all + (each ?? 0), 0);
    const digest = `sha256:${createHash("sha256")
      .update(view?.diff ?? "")
      .digest("hex")}`;
    await this.#sources.evidence.append({
      type: "review",
      correlationId: reviewer.correlationId,
      subject: reviewer.subject,
      machine: { id: record.id, name: record.name },
      grant: null,
      policyHash: this.#sources.policy.hash,
      outcome: ask.as,
      base: target.base,
      head: ask.head,
      target: (ask.as === "branch" ? ask.name : basename(ask.name)).slice(0, 250),
      changes: view === undefined ? null : { digest, bytes: Buffer.byteLength(view.diff), path: null },
      files: files.length,
      insertions: sum(files.map((file) => file.added)),
      deletions: sum(files.map((file) => file.removed)),
    });
  }

  #folder(machineId: string): string {
    return join(this.#sources.stateDir, "review", machineId);
  }
}

function targets(record: MachineRecord): Target[] {
  return record.repos.flatMap(({ hostPath: repo, machinePath, clone, base }) =>
    clone === null || base === null ? [] : [{ repo, clone, base, machinePath }],
  );
}

function choose(record: MachineRecord, repo: string | undefined): Target {
  const found = targets(record).filter((target) => repo === undefined || target.repo === repo);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot bring changes of "${record.name}" back: it has ${found.length} clones that fit`,
    hint: `doorward review ${record.name} --repo PATH`,
  });
}
