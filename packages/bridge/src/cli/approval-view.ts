import { approvalLines, escapeLine } from "@doorward/client/operator";
import { ApprovalId, type PendingApproval } from "@doorward/contracts";
import type { Output } from "./output.ts";
import { usage } from "./parse-input.ts";
import { until } from "./times.ts";

/** A pending decision with its full effect, as text. */
export function approvalText(output: Output, pending: PendingApproval): string {
  const { id, expiresAt, lasting } = pending;
  const [head = "", ...rest] = approvalLines(pending, until(expiresAt));
  return [
    output.style("bold", head),
    ...rest,
    output.commands(
      `  doorward action approve ${id}${lasting ? " [--for 10m]" : ""}, or doorward action deny ${id}`,
    ),
  ].join("\n");
}

/** The id of a pending decision as given on the command line. */
export function parseApproval(value: unknown): string {
  const parsed = ApprovalId.safeParse(value);
  if (parsed.success) return parsed.data;
  throw usage(
    `Cannot use "${escapeLine(String(value).slice(0, 200))}": an id is a_ and letters and digits`,
    "id",
    "doorward action ls",
  );
}
