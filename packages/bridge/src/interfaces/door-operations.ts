import { OPERATIONS, type AgentMachineProfileSpec, type DoorName, type Operation } from "@doorward/contracts";

/** What of a terminal only the operator may use unless the profile's `attach.agents` says more. */
const ATTENDED: Readonly<Record<"deny" | "observe" | "control", readonly Operation[]>> = {
  deny: ["terminal.attach", "terminal.input", "terminal.observe"],
  observe: ["terminal.attach", "terminal.input"],
  control: [],
};

/** Operations that a door of a profile never lets anybody but the operator use: granting them would promise nothing. */
export function operatorsOnly(
  spec: Pick<AgentMachineProfileSpec, "doors">,
  door: DoorName,
): readonly Operation[] {
  const terminal = door === "terminal" ? spec.doors.terminal : undefined;
  return terminal === undefined ? [] : ATTENDED[terminal.attach.agents];
}

/** Operations that grants may hold at a door of a profile. */
export function offeredOperations(spec: Pick<AgentMachineProfileSpec, "doors">, door: DoorName): Operation[] {
  if (door === "agent-tool") return OPERATIONS.filter((one) => offeredToTools(spec, one));
  const { terminal } = spec.doors;
  if (terminal === undefined) return [];
  const { attach, execution } = terminal;
  return [
    ...(attach.allowed ? (["terminal.attach", "terminal.input", "terminal.forward"] as const) : []),
    ...(attach.allowed && attach.observers ? (["terminal.observe"] as const) : []),
    ...(execution.operator ? (["terminal.exec"] as const) : []),
    ...(execution.agent ? (["terminal.agent-exec"] as const) : []),
  ];
}

function offeredToTools({ doors }: Pick<AgentMachineProfileSpec, "doors">, operation: Operation): boolean {
  const allowed: readonly string[] = doors["agent-tool"]?.allowedOperations ?? [];
  return allowed.includes(operation);
}
