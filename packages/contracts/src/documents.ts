import type * as z from "zod";
import { AgentMachineFingerprint } from "./agent-machine-fingerprint.ts";
import { AgentMachineMountEvidence } from "./agent-machine-mount-evidence.ts";
import { AgentMachineProfile } from "./agent-machine-profile.ts";
import { AgentToolDoor } from "./agent-tool-door.ts";
import { BrowserDoor } from "./browser-door.ts";
import { GrantRequest, GrantView } from "./control-api/grants.ts";
import { MachineView, UpRequest, UpResult } from "./control-api/machines.ts";
import { Problem } from "./control-api/route.ts";
import { EditorDoor } from "./editor-door.ts";
import { EvidenceEnvelope } from "./evidence/dsse.ts";
import { EvidenceStatement } from "./evidence/statement.ts";
import { HostInterfaceGrant } from "./host-interface-grant.ts";
import { Policy } from "./policy.ts";
import { SecureHostInterfaceProfile } from "./secure-host-interface-profile.ts";
import { TerminalDoor } from "./terminal-door.ts";

/** The documents that have a JSON Schema of their own, by type. */
export const DOCUMENTS: Readonly<Record<string, z.ZodType>> = {
  AgentMachineFingerprint,
  AgentMachineMountEvidence,
  AgentMachineProfile,
  AgentToolDoor,
  BrowserDoor,
  EditorDoor,
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
