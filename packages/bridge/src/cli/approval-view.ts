import type { PendingApproval } from "@doorward/contracts";
import { ApprovalId } from "@doorward/contracts";
import { escapeLine } from "./escape-text.ts";
import type { Output } from "./output.ts";
import { usage } from "./parse-input.ts";
import { until } from "./times.ts";

/** A pending decision with its full effect, as text. */
export function approvalText(output: Output, pending: PendingApproval): string {
  const { id, title, requestedBy, machine, operation, lines, digest, expiresAt, lasting } = pending;
  return [
    output.style("bold", `${id}  ${escapeLine(title)}`),
    `  ${operation} for ${requestedBy}${machine === null ? "" : ` in ${machine.name}`}; refused ${until(expiresAt)}`,
    ...lines.map((line) => `  | ${escapeLine(line)}`),
    `  ${digest}`,
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
