import type * as z from "zod";
import { AgentMachineFingerprint } from "./agent-machine-fingerprint.ts";
import { AgentMachineProfile } from "./agent-machine-profile.ts";
import { HostInterfaceGrant } from "./host-interface-grant.ts";
import { Policy } from "./policy.ts";
import { SecureHostInterfaceProfile } from "./secure-host-interface-profile.ts";
import { TerminalDoor } from "./terminal-door.ts";

/** The documents that have a JSON Schema of their own, by type. */
export const DOCUMENTS: Readonly<Record<string, z.ZodType>> = {
  AgentMachineFingerprint,
  AgentMachineProfile,
  HostInterfaceGrant,
  Policy,
  SecureHostInterfaceProfile,
  TerminalDoor,
};
