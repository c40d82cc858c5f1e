import type { EvidenceInput } from "@doorward/contracts";

/** What somebody asks a decision for, with everything that the operator must see to decide. */
export interface ApprovalAsk {
  /** A word for what needs approval, e.g. `egress.open` or `system.fs.mutate`. */
  readonly operation: string;
  readonly requestedBy: string;
  readonly machine: { readonly id: string; readonly name: string } | null;
  readonly grant: string | null;
  readonly correlationId: string;
  /** What is asked, in one line. */
  readonly title: string;
  /** The full effect; nothing that would happen may be missing. */
  readonly lines: readonly string[];
  /** What the decision is bound to beside what is shown (request, scope version, state), as a JSON value. */
  readonly bound: unknown;
  /**
   * What else of the same asker an approval for a time covers, as a JSON value: exactly this argument shape. `null` when
   * nothing else is ever covered; `"asker"` when the asker keeps what was approved for a time itself.
   */
  readonly shape: { readonly of: unknown } | "asker" | null;
  /** After how many seconds it is refused by itself. */
  readonly seconds: number;
}

/** An approval. */
export interface ApprovalGiven {
  readonly id: string;
  readonly by: string;
  /** Digest of what was shown, as `approvalDigest` makes it. */
  readonly digest: string;
  /** Until when it holds; null for this once. */
  readonly expiresAt: string | null;
}

/** Where a decision was given. */
export type DecidedWhere = "command" | "notification" | "editor" | "console";

/** A question that waits; what it asks may grow until somebody decides. */
export interface Question extends Disposable {
  readonly id: string;
  /** When it is refused by itself, RFC 3339. */
  readonly expiresAt: string;
  /** Resolves with the approval of what was asked last; rejects with APPROVAL_DENIED. */
  readonly decided: Promise<ApprovalGiven>;
  /** Replaces what is asked; whoever was shown the old text can't approve the new. False when it was decided by then. */
  amend(ask: Pick<ApprovalAsk, "title" | "lines" | "bound">): boolean;
}

/** Where decisions are recorded, and what makes digests that can't be guessed back. */
export interface ApprovalEvidence {
  append(input: EvidenceInput): Promise<unknown>;
  keyedDigest(value: unknown): string;
}

/** Tells the person at this host that something waits; never secrets. */
export interface Notifier {
  notify(title: string, body: string): Promise<void>;
}
