export {
  AgentMachineFingerprint,
  FingerprintInputs,
  FingerprintMount,
  HostProtections,
} from "./agent-machine-fingerprint.ts";
export { AgentMachineMountEvidence } from "./agent-machine-mount-evidence.ts";
export {
  AgentMachineProfile,
  AgentMachineProfileSpec,
  DEFAULT_PROFILE,
  MachineLimits,
  RELAXATIONS,
  Relaxation,
  profileDocument,
} from "./agent-machine-profile.ts";
export {
  AgentToolDoor,
  AgentToolDoorSpec,
  DEFAULT_AGENT_TOOL_DOOR,
  RegistryGrant,
  TOOL_IDS,
  ToolAllowance,
  ToolId,
} from "./agent-tool-door.ts";
export { AGENT_TOOLS, TOOL_NAMES, ToolName, isToolName, type ToolEffect } from "./agent-tools.ts";
export { BrowserDoor, HostProfileSharing } from "./browser-door.ts";
export { ActionEvent, ActionId, ActionReport, ActionStep } from "./control-api/actions.ts";
export { PendingApproval } from "./control-api/approvals.ts";
export { BridgeStatus } from "./control-api/bridge.ts";
export { ImageView, PathVerdict } from "./control-api/host.ts";
export {
  EgressAllowance,
  EgressAllowanceId,
  EgressAllowRequest,
  EgressRefusal,
  EgressRuleView,
  EgressTraffic,
  EgressView,
} from "./control-api/egress.ts";
export { ContractView } from "./control-api/contracts.ts";
export { EvidenceKeyView, EvidenceRow, EvidenceWitnessView } from "./control-api/evidence.ts";
export { GrantRequest, GrantView, MintedGrant, NarrowRequest } from "./control-api/grants.ts";
export {
  ROUTES,
  type RouteEvent,
  type RouteId,
  type RouteInput,
  type RouteResult,
} from "./control-api/index.ts";
export {
  MachineInspection,
  MachineRepo,
  MachineState,
  MachineView,
  ReviewView,
  TerminalView,
  UpRequest,
  UpResult,
} from "./control-api/machines.ts";
export { Problem, ProgressLine, type Route, type RouteAccess } from "./control-api/route.ts";
export { DOCUMENTS } from "./documents.ts";
export {
  DEFAULT_EGRESS,
  EGRESS_PRESETS,
  EgressHost,
  EgressPreset,
  EgressRange,
  EgressRule,
  EgressSpec,
} from "./egress.ts";
export { EditAllowance, EditorCommand, EditorDoor, EditorMount } from "./editor-door.ts";
export {
  judgeDocument,
  typeOfDocument,
  type DocumentProblem,
  type DocumentVerdict,
} from "./judge-document.ts";
export { SecretView } from "./control-api/secrets.ts";
export { TranscriptView } from "./control-api/transcripts.ts";
export {
  FileSecret,
  HeaderSecret,
  MachineSecret,
  SecretName,
  SecretValue,
  isHeaderSecret,
  secretVariable,
  secretsProblem,
} from "./secrets.ts";
export { jsonSchemaOf } from "./json-schema.ts";
export {
  ACTION_CAPABILITIES,
  ActionCapability,
  capabilitiesFor,
  filesystemScopeCapability,
  knownCapability,
  processScopeCapability,
} from "./host-actions/capabilities.ts";
export {
  ACTION_LIMITS,
  ActionPath,
  FileOperation,
  HOST_ACTIONS,
  HostActionRequest,
  HostsRecord,
  ScopeId,
  WorkflowStep,
  type HostAction,
} from "./host-actions/requests.ts";
export {
  ACTION_CODES,
  ActionCode,
  HostActionResponse,
  ProcessPlan,
  ProcessResult,
  ScopeViolation,
  ScopeViolationReason,
  WorkflowResult,
  WorkflowStepResult,
} from "./host-actions/responses.ts";
export {
  ACTION_PRESETS,
  ActionPolicy,
  ActionPreset,
  ArgumentValue,
  CommandRule,
  FileScope,
  FlagRule,
  ProcessScope,
} from "./host-actions/scopes.ts";
export { GrantStatus, HostInterfaceGrant, ServedGrant } from "./host-interface-grant.ts";
export {
  AGENT_TOOL_OPERATIONS,
  BROWSER_PERMISSION_SCOPES,
  CODE_RUNNING_OPERATIONS,
  CONTRACT_OPERATIONS,
  ContractOperation,
  DOORS,
  DoorName,
  INTERFACE_KINDS,
  InterfaceKind,
  OPERATIONS,
  Operation,
  doorOf,
} from "./operations.ts";
export { Policy, PolicyGrantRule, PolicyProfile, PolicyRoot } from "./policy.ts";
export { SecureHostInterfaceProfile } from "./secure-host-interface-profile.ts";
export { DEFAULT_TERMINAL_DOOR, RedactionPattern, TerminalDoor, TerminalDoorSpec } from "./terminal-door.ts";
export {
  DenialError,
  DoorwardError,
  ERRORS,
  isErrorCode,
  toDoorwardError,
  type ErrorCode,
  type ErrorEntry,
  type ErrorInit,
} from "./errors.ts";
export { HostFacts, HostFinding } from "./host-facts.ts";
export { MachineIsolation, MeasuredMount } from "./machine-isolation.ts";
export {
  Duration,
  GrantId,
  HostPath,
  MachineId,
  MachineName,
  MachinePath,
  SessionId,
  Sha256,
  Subject,
  Timestamp,
  durationSeconds,
} from "./text.ts";
export { RecordKey } from "./evidence/bridge-records.ts";
export { ApprovalId, RecordId, RecordMachine, Reference } from "./evidence/common.ts";
export { EvidenceEnvelope } from "./evidence/dsse.ts";
export {
  EVIDENCE_PREDICATES,
  EvidenceArtifact,
  EvidenceStatement,
  evidenceTypeOf,
  isEvidenceType,
  predicateTypeOf,
  type EvidenceInput,
  type EvidencePredicate,
  type EvidenceType,
} from "./evidence/statement.ts";
export {
  OUTPUT_HEADER_BYTES,
  WIRE_KIND,
  decodeBytes,
  decodeOutput,
  encodeBytes,
  encodeOutput,
  type OutputChunk,
  type WireKind,
} from "./wire/binary.ts";
export {
  Argv,
  DEFAULT_WINDOW_BYTES,
  ExitStatus,
  MAX_WIRE_CHUNK_BYTES,
  MAX_WIRE_MESSAGE_BYTES,
  TerminalId,
  WireCwd,
  WireEnv,
  WireError,
  WireNotice,
} from "./wire/common.ts";
export {
  EXEC_PROTOCOL,
  ExecClientMessage,
  ExecHello,
  ExecServerMessage,
  ExecSignal,
} from "./wire/exec-v1.ts";
export {
  FORWARD_PROTOCOL,
  ForwardClientMessage,
  ForwardPort,
  ForwardServerMessage,
} from "./wire/forward-v1.ts";
export { MAX_PIPE_MESSAGE_BYTES, PipeQuery } from "./wire/pipe.ts";
export {
  TERMINAL_PROTOCOL,
  TerminalClientMessage,
  TerminalHello,
  TerminalReady,
  TerminalRole,
  TerminalServerMessage,
} from "./wire/terminal-v1.ts";
