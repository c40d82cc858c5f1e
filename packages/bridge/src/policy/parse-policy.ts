import { Policy } from "@doorward/contracts";
import type { Document } from "yaml";
import { actionPlaceProblems } from "./action-places.ts";
import { policyProblems } from "./check-policy.ts";
import type { PathHost } from "./path-host.ts";
import { schemaProblems, StrictText } from "./strict-text.ts";

/** A policy file that was read: its content, and the document that edits keep comments with. */
export interface ParsedPolicy {
  readonly policy: Policy;
  readonly document: Document;
}

/**
 * Reads the text of a policy file; throws `POLICY_INVALID` with line, column and field of the first problem. Its rules
 * may name `profiles` that documents beside it define. With a host, the places of its actions are judged there.
 */
export function parsePolicy(
  text: string,
  file: string,
  profiles: ReadonlySet<string> = new Set(),
  host: PathHost | null = null,
): ParsedPolicy {
  const read = new StrictText(text, { file, what: "policy" });
  const result = Policy.safeParse(read.value);
  const problems = result.success
    ? [
        ...policyProblems(result.data, profiles),
        ...(host === null ? [] : actionPlaceProblems(result.data, host)),
      ]
    : schemaProblems(result.error.issues);
  if (result.success && problems.length === 0) return { policy: result.data, document: read.document };
  throw read.invalid(problems);
}
