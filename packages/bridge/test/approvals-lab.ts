import type { ApprovalAsk } from "../src/approvals/index.ts";
import { SHOP } from "./egress-lab.ts";

/** What an agent asks the operator for, with fields of a test's own. */
export function ask(changes: Partial<ApprovalAsk> = {}): ApprovalAsk {
  return {
    operation: "system.process.exec",
    requestedBy: "agent:codex:s1",
    machine: { id: SHOP.id, name: SHOP.name },
    grant: null,
    correlationId: "c1",
    title: "codex wants to run git",
    lines: ["git status --short", "in /srv/app"],
    bound: { argv: ["git", "status", "--short"], scope: 1 },
    shape: null,
    seconds: 30,
    ...changes,
  };
}
