import type { Operation } from "@doorward/contracts";

/** What an agent's client is granted where nothing else is said. */
export const DEFAULT_OPERATIONS: readonly Operation[] = [
  "agent-tool.list",
  "agent-tool.read",
  "agent-tool.write",
  "agent-tool.exec",
  "agent-tool.egress",
];

/** What one is granted that only looks. */
export const READ_OPERATIONS: readonly Operation[] = ["agent-tool.list", "agent-tool.read"];

/** How long grants of a rule last at most that is added to the policy for a client. */
export const LONGEST_RULE = "8h";
