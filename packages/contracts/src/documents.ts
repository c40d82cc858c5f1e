import type * as z from "zod";
import { AgentMachineFingerprint } from "./agent-machine-fingerprint.ts";
import { AgentMachineProfile } from "./agent-machine-profile.ts";
import { GrantRequest, GrantView } from "./control-api/grants.ts";
import { MachineView, UpRequest, UpResult } from "./control-api/machines.ts";
import { Problem } from "./control-api/route.ts";
import { EvidenceEnvelope } from "./evidence/dsse.ts";
import { EvidenceStatement } from "./evidence/statement.ts";
import { HostInterfaceGrant } from "./host-interface-grant.ts";
import { Policy } from "./policy.ts";
import { SecureHostInterfaceProfile } from "./secure-host-interface-profile.ts";
import { TerminalDoor } from "./terminal-door.ts";

/** The documents that have a JSON Schema of their own, by type. */
export const DOCUMENTS: Readonly<Record<string, z.ZodType>> = {
  AgentMachineFingerprint,
  AgentMachineProfile,
  EvidenceEnvelope,
  EvidenceStatement,
  GrantRequest,
  GrantView,
  HostInterfaceGrant,
  MachineView,
  Policy,
  Problem,
  SecureHostInterfaceProfile,
  TerminalDoor,
  UpRequest,
  UpResult,
};
