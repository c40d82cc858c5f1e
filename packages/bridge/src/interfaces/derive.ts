import {
  SecureHostInterfaceProfile,
  TerminalDoor,
  type AgentMachineProfile,
  type DoorName,
  type Operation,
  type TerminalDoorSpec,
} from "@doorward/contracts";

/** The host adapter of this build's host, in the contracts' words. */
export function hostAdapter(): SecureHostInterfaceProfile["hostAdapter"] {
  if (process.platform === "darwin") return "macos";
  return process.platform === "win32" ? "windows" : "linux";
}

/** URN of a door that no document names. */
export function derivedDoorId(door: DoorName, profile: string): string {
  return `urn:srcos:${door}-door:${profile}`;
}

/** URN that a profile of the policy file has. */
export function derivedProfileId(profile: string): string {
  return `urn:srcos:agent-machine-profile:${profile}`;
}

/** The terminal door of a profile as a document, where the operator wrote none. */
export function derivedTerminalDoor(profile: AgentMachineProfile, spec: TerminalDoorSpec): TerminalDoor {
  return TerminalDoor.parse({
    id: derivedDoorId("terminal", profile.name),
    type: "TerminalDoor",
    specVersion: "0.1.0",
    name: `terminal of ${profile.name}`,
    agentMachineProfileRef: profile.id,
    ...spec,
  });
}

/** How the host reaches a door of a profile, where the operator wrote nothing about it: everything that the door offers. */
export function derivedInterface(
  profile: AgentMachineProfile,
  door: DoorName,
  doorRef: string,
  operations: readonly Operation[],
  transportMode: SecureHostInterfaceProfile["transportMode"],
): SecureHostInterfaceProfile {
  return SecureHostInterfaceProfile.parse({
    id: `urn:srcos:secure-host-interface-profile:${profile.name}.${door}`,
    type: "SecureHostInterfaceProfile",
    specVersion: "0.1.0",
    name: `${door} of ${profile.name}`,
    hostAdapter: hostAdapter(),
    interfaceKind: door,
    agentMachineProfileRef: profile.id,
    doorRef,
    transportMode,
    allowedOperations: operations,
    denialBehavior: { defaultDecision: "deny", onExpiry: "close", recordDenials: true },
    evidenceRequirements: { sessionOpen: "durable-before-open", sessionClose: true, commands: true },
  });
}
