export { DEFAULT_LIMITS, type GatewayConfig, type GatewayLimits } from "./config.ts";
export type { DoorSessions } from "./door-sessions.ts";
export { createGateway, type Gateway, type GatewayOptions } from "./gateway.ts";
export { openApiDocument } from "./openapi.ts";
export type {
  ApprovalsPort,
  Caller,
  CountedDenial,
  ConnectionGrant,
  Denial,
  EndedGrant,
  GatewayEvidence,
  GatewayGrant,
  GatewayMachine,
  GrantsPort,
  Handlers,
  HostPort,
  ListenerKind,
  MachineRef,
  MachinesPort,
  ReportProgress,
  RouteCall,
  SessionClosed,
  SessionOpened,
} from "./ports.ts";
export type { TcpState } from "./tcp-listener.ts";
