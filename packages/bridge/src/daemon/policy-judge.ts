import { toDoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import type { EvidenceLog } from "../evidence/index.ts";
import type { GrantAuthority } from "../grants/index.ts";
import type { Machines } from "../machines/life/index.ts";
import type { PolicyEvent, PolicyFile } from "../policy/index.ts";
import { BRIDGE_SUBJECT } from "../machines/life/index.ts";

/** What a changed policy is put into force over. */
export interface JudgeSources {
  readonly policy: PolicyFile;
  readonly grants: GrantAuthority;
  readonly machines: () => Machines | undefined;
  /** Cuts the sessions that came a way which interface profiles do not allow any more. */
  readonly cutTransports: () => number;
  readonly evidence: EvidenceLog;
  readonly log: Logger;
}

/** When the policy changes: judges every live grant and machine again, cuts what is no longer allowed, and records it. */
export class PolicyJudge implements AsyncDisposable {
  readonly #sources: JudgeSources;
  readonly #listening: Disposable;
  #judging: Promise<void> = Promise.resolve();

  constructor(sources: JudgeSources) {
    this.#sources = sources;
    this.#listening = sources.policy.onEvent((event) => {
      this.#judging = this.#judging.then(() => this.#heard(event));
    });
  }

  /** Resolves when everything was judged by the policy in force. */
  settled(): Promise<void> {
    return this.#judging;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listening[Symbol.dispose]();
    await this.#judging;
  }

  async #heard(event: PolicyEvent): Promise<void> {
    const { log } = this.#sources;
    if (event.kind === "problem") {
      log.error({ err: event.error }, "policy.yaml is not in force");
      return;
    }
    try {
      await this.#judge(event);
    } catch (error) {
      log.error({ err: toDoorwardError(error) }, "the changed policy could not be put into force everywhere");
    }
  }

  async #judge(event: Extract<PolicyEvent, { kind: "changed" }>): Promise<void> {
    const { policy, grants, machines, cutTransports, evidence } = this.#sources;
    const { revoked } = grants.rejudge(policy);
    cutTransports();
    const machinesCut = (await machines()?.rejudge()) ?? 0;
    await evidence.append({
      type: "policy-change",
      correlationId: event.hash.slice(0, 40),
      subject: BRIDGE_SUBJECT,
      machine: null,
      grant: null,
      policyHash: event.hash,
      previous: event.previousHash,
      next: event.hash,
      source: "file",
      machinesCut,
      grantsCut: revoked.length,
    });
  }
}
