import type { PendingApproval } from "@doorward/contracts";
import { escapeLine } from "./escape-text.ts";

/** A pending decision with its full effect, as every place that asks a person shows it; `refused` says when it is by itself. */
export function approvalLines(pending: PendingApproval, refused: string): readonly string[] {
  const { id, title, requestedBy, machine, operation, lines, digest } = pending;
  return [
    `${id}  ${escapeLine(title)}`,
    `  ${operation} for ${requestedBy}${machine === null ? "" : ` in ${machine.name}`}; refused ${refused}`,
    ...lines.map((line) => `  | ${escapeLine(line)}`),
    `  ${digest}`,
  ];
}
