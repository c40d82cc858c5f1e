import type { TerminalDoorSpec } from "@doorward/contracts";

/** A terminal door that allows only what both allow; what is kept of it is as the first says. */
export function narrowedTerminal(one: TerminalDoorSpec, other: TerminalDoorSpec): TerminalDoorSpec {
  const { attach, execution } = one;
  return {
    ...one,
    attach: {
      ...attach,
      allowed: attach.allowed && other.attach.allowed,
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
