import type { Begun, DoorBeginning, DoorRecord } from "@doorward/doors";
import type { EvidenceLog } from "../evidence/index.ts";
import type { SessionOpened } from "../gateway/index.ts";
import { isRefused, type InFlight, type LostRecord } from "../in-flight/index.ts";
import { doorRecord, lostRecord, type DoorDigests } from "./door-evidence.ts";

/** Where what begins is noted and recorded. */
export interface BegunSources {
  readonly log: Pick<EvidenceLog, "append" | "argvDigest" | "keyedDigest" | "keyId">;
  readonly inFlight: InFlight;
  readonly session: SessionOpened;
  readonly policyHash: () => string;
}

/** Notes what a door begins. EVIDENCE_UNWRITABLE, RATE_LIMITED. */
export function noteBeginning(sources: BegunSources, beginning: DoorBeginning): Begun {
  const { log, inFlight, session, policyHash } = sources;
  const digests = remembered(log);
  const lost = lostRecord(digests, session, policyHash(), beginning);
  return new NotedBeginning({ ...sources, digests }, lost, inFlight.begin(lost));
}

class NotedBeginning implements Begun {
  readonly #sources: BegunSources & { readonly digests: DoorDigests };
  readonly #lost: LostRecord;
  readonly #note: number;
  #recording = false;

  constructor(sources: BegunSources & { readonly digests: DoorDigests }, lost: LostRecord, note: number) {
    this.#sources = sources;
    this.#lost = lost;
    this.#note = note;
  }

  approved(approval: string): void {
    if (this.#lost.type === "tool-call")
      this.#sources.inFlight.change(this.#note, { ...this.#lost, approval });
  }

  async record(record: DoorRecord): Promise<void> {
    const { log, digests, inFlight, session, policyHash } = this.#sources;
    this.#recording = true;
    try {
      await log.append(doorRecord(digests, session, policyHash(), record), this.#note);
      inFlight.ended(this.#note);
    } catch (error) {
      // What found no room, or no open log, is recorded by the next bridge.
      if (isRefused(error)) inFlight.forget(this.#note);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (!this.#recording) this.#sources.inFlight.forget(this.#note);
  }
}

/** Digests that are made once for the note and the record of one thing, unless the key is exchanged between the two. */
function remembered(log: BegunSources["log"]): DoorDigests {
  let first: { readonly of: unknown; readonly keyId: string; readonly digest: string } | null = null;
  const once = <T>(of: T, make: (of: T) => string): string => {
    if (first?.of === of && first.keyId === log.keyId) return first.digest;
    const { keyId } = log;
    const digest = make(of);
    first ??= { of, keyId, digest };
    return digest;
  };
  return {
    argvDigest: (argv) => once(argv, (of) => log.argvDigest(of)),
    keyedDigest: (value) => once(value, (of) => log.keyedDigest(of)),
  };
}
