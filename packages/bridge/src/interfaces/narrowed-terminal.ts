import type { TerminalDoorSpec } from "@doorward/contracts";

/** What agents may do at terminals, the least first. */
const AGENTS = ["deny", "observe", "control"] as const;

/** A terminal door that allows only what both allow; what is kept of it is as the first says. */
export function narrowedTerminal(one: TerminalDoorSpec, other: TerminalDoorSpec): TerminalDoorSpec {
  const { attach, execution } = one;
  return {
    ...one,
    attach: {
      ...attach,
      allowed: attach.allowed && other.attach.allowed,
      agents: lesser(attach.agents, other.attach.agents),
      observers: attach.observers && other.attach.observers,
      maxTerminals: Math.min(attach.maxTerminals, other.attach.maxTerminals),
      maxViewers: Math.min(attach.maxViewers, other.attach.maxViewers),
      scrollbackBytes: Math.min(attach.scrollbackBytes, other.attach.scrollbackBytes),
    },
    execution: {
      ...execution,
      operator: execution.operator && other.execution.operator,
      agent: execution.agent && other.execution.agent,
      maxConcurrent: Math.min(execution.maxConcurrent, other.execution.maxConcurrent),
    },
  };
}

function lesser(one: (typeof AGENTS)[number], other: (typeof AGENTS)[number]): (typeof AGENTS)[number] {
  return AGENTS.indexOf(one) < AGENTS.indexOf(other) ? one : other;
}
