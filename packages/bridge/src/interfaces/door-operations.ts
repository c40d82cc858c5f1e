import type { AgentMachineProfileSpec, DoorName, Operation } from "@doorward/contracts";

/** Operations that grants may hold at a door of a profile. */
export function offeredOperations(spec: Pick<AgentMachineProfileSpec, "doors">, door: DoorName): Operation[] {
  const terminal = spec.doors[door];
  if (terminal === undefined) return [];
  const { attach, execution } = terminal;
  return [
    ...(attach.allowed ? (["terminal.attach", "terminal.input", "terminal.forward"] as const) : []),
    ...(attach.allowed && attach.observers ? (["terminal.observe"] as const) : []),
    ...(execution.operator ? (["terminal.exec"] as const) : []),
    ...(execution.agent ? (["terminal.agent-exec"] as const) : []),
  ];
}
