import {
  AgentToolDoor,
  SecureHostInterfaceProfile,
  TerminalDoor,
  type AgentMachineProfile,
  type DoorName,
  type Operation,
} from "@doorward/contracts";
import type { DoorDocument } from "./read-documents.ts";

/** The host adapter of this build's host, in the contracts' words. */
export function hostAdapter(): SecureHostInterfaceProfile["hostAdapter"] {
  if (process.platform === "darwin") return "macos";
  return process.platform === "win32" ? "windows" : "linux";
}

type TransportMode = SecureHostInterfaceProfile["transportMode"];

/** Ways to each door that this build's gateway serves: its own socket, and the one that loopback TCP stands for. */
export const SERVED_TRANSPORTS: Readonly<Record<DoorName, readonly [TransportMode, TransportMode]>> = {
  terminal: ["unix-socket", "loopback-websocket"],
  "agent-tool": ["unix-socket", "loopback-http"],
};

/** URN of a door that no document names. */
function derivedDoorId(door: DoorName, profile: string): string {
  return `urn:srcos:${door}-door:${profile}`;
}

/** A door of a profile as a document, where the operator wrote none; null when the profile has no such door. */
export function derivedDoor(profile: AgentMachineProfile, door: DoorName): DoorDocument | null {
  const { terminal, "agent-tool": agentTool } = profile.doors;
  if (door === "terminal")
    return terminal === undefined
      ? null
      : TerminalDoor.parse({ ...headOf(profile, door, "TerminalDoor"), ...terminal });
  return agentTool === undefined
    ? null
    : AgentToolDoor.parse({ ...headOf(profile, door, "AgentToolDoor"), ...agentTool });
}

function headOf(profile: AgentMachineProfile, door: DoorName, type: DoorDocument["type"]) {
  return {
    id: derivedDoorId(door, profile.name),
    type,
    specVersion: "0.1.0",
    name: `${door} of ${profile.name}`,
    agentMachineProfileRef: profile.id,
  };
}

/** How the host reaches a door of a profile, where the operator wrote nothing about it: everything that the door offers. */
export function derivedInterface(
  profile: AgentMachineProfile,
  door: DoorName,
  doorRef: string,
  operations: readonly Operation[],
  transportMode: TransportMode,
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
