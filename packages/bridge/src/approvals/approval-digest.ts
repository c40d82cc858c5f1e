import { createHash } from "node:crypto";
import { canonicalJson } from "../evidence/canonical.ts";
import type { ApprovalAsk } from "./ports.ts";

/** Digest of everything that an approval is bound to: who asks for what, where, and each line that is shown. */
export function approvalDigest(ask: ApprovalAsk): string {
  const { operation, requestedBy, machine, title, lines, bound } = ask;
  return sha256({ operation, requestedBy, machine: machine?.id ?? null, title, lines, bound });
}

/** Key under which an approval for a time covers later requests; null when none does. */
export function standingKey({ operation, requestedBy, machine, grant, shape }: ApprovalAsk): string | null {
  if (shape === null || shape === "asker") return null;
  return sha256({ operation, requestedBy, machine: machine?.id ?? null, grant, shape: shape.of });
}

function sha256(value: unknown): string {
  return `sha256:${createHash("sha256").update(canonicalJson(value)).digest("hex")}`;
}
