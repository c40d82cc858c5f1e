export { DEFAULT_LIMITS, type GatewayConfig, type GatewayLimits } from "./config.ts";
export type { DoorSessions } from "./door-sessions.ts";
export { createGateway, type Gateway, type GatewayOptions } from "./gateway.ts";
export type { DoorEndpoints } from "./handshake.ts";
export { openApiDocument } from "./openapi.ts";
export type {
  AnonymousDenial,
  Caller,
  ConnectionGrant,
  Denial,
  DoorEndpoint,
  DoorSession,
  EndedGrant,
  GatewayEvidence,
  GatewayGrant,
  GatewayMachine,
  GrantsPort,
  Handlers,
  ListenerKind,
  MachineRef,
  MachinesPort,
  ReportProgress,
  RouteCall,
  SessionClosed,
  SessionHost,
  SessionNotice,
  SessionOpened,
} from "./ports.ts";
export type { TcpState } from "./tcp-listener.ts";
