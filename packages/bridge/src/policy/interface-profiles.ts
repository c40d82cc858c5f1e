import type {
  AgentMachineProfileSpec,
  DoorName,
  Operation,
  Policy,
  SecureHostInterfaceProfile,
} from "@doorward/contracts";

/** How the host reaches one door of a profile, as a document that the gateway checks; null when the profile offers none. */
export function interfaceProfile(
  policy: Policy,
  name: string,
  spec: AgentMachineProfileSpec,
  door: DoorName,
): SecureHostInterfaceProfile | null {
  const operations = offeredOperations(spec, door);
  if (operations.length === 0) return null;
  return {
    id: `urn:srcos:secure-host-interface-profile:${name}.${door}`,
    type: "SecureHostInterfaceProfile",
    specVersion: "0.1.0",
    name: `${door} of ${name}`,
    hostAdapter: hostAdapter(),
    interfaceKind: door,
    agentMachineProfileRef: `urn:srcos:agent-machine-profile:${name}`,
    doorRef: `urn:srcos:${door}-door:${name}`,
    transportMode: policy.bridge?.tcp === false ? "unix-socket" : "loopback-websocket",
    allowedOperations: operations,
    denialBehavior: { defaultDecision: "deny", onExpiry: "close", recordDenials: true },
    evidenceRequirements: { sessionOpen: "durable-before-open", sessionClose: true, commands: true },
  };
}

/** Operations that grants may hold at a door of a profile. */
export function offeredOperations(spec: AgentMachineProfileSpec, door: DoorName): Operation[] {
  const terminal = spec.doors[door];
  if (terminal === undefined) return [];
  const { attach, execution } = terminal;
  return [
    ...(attach.allowed ? (["terminal.attach", "terminal.input"] as const) : []),
    ...(attach.allowed && attach.observers ? (["terminal.observe"] as const) : []),
    ...(execution.operator ? (["terminal.exec"] as const) : []),
    ...(execution.agent ? (["terminal.agent-exec"] as const) : []),
  ];
}

function hostAdapter(): SecureHostInterfaceProfile["hostAdapter"] {
  if (process.platform === "darwin") return "macos";
  return process.platform === "win32" ? "windows" : "linux";
}
