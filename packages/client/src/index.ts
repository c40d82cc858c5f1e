export { connect, type Target } from "./connect.ts";
export { DoorwardClient, type CallOptions } from "./doorward-client.ts";
export { ExecSession, type ExecOptions } from "./exec-session.ts";
export type { OutputSink } from "./output-queue.ts";
export { createBackendReqOver, type CreateBackendReq } from "./host-actions/backend-transport.ts";
export { errorFromProblem, problemOf } from "./problem.ts";
export type { CallInput } from "./route-request.ts";
export type { TerminalEnd, TerminalHandlers, TerminalOptions } from "./terminal-options.ts";
export { TerminalSession } from "./terminal-session.ts";
export type { McpConnection, McpOptions } from "./mcp-connection.ts";
export type {
  OpenOptions,
  Transport,
  TransportRequest,
  TransportResponse,
  WireSocket,
  WireSocketListener,
} from "./transport.ts";
