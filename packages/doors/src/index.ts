export type {
  ApprovalRequest,
  Begun,
  CommandRecord,
  ForwardRecord,
  Door,
  DoorBeginning,
  DoorEndpoint,
  DoorEntry,
  DoorHost,
  DoorNotice,
  DoorOperation,
  DoorRecord,
  DoorSession,
  MachineReach,
  PendingQuestion,
  ReachedFolder,
  SessionKind,
  TerminalRecord,
  ToolCallRecord,
  TranscriptFile,
  TranscriptStart,
  WaitingBytes,
} from "./door.ts";
export {
  allowanceOf,
  clientAllowance,
  hostMutation,
  toolIdOf,
  type Allowance,
  type AllowanceRefusal,
  type AllowanceSession,
  type HostMutation,
} from "./agent-tool/allowance.ts";
export { FirstAbort } from "./first-abort.ts";
export { readJsonBody, type BodyLimits } from "./json-body.ts";
export { DOOR_REGISTRY } from "./registry.ts";
export { TranscriptWriter, type TranscriptHeader, type TranscriptSink } from "./terminal/transcript.ts";
