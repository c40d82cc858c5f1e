export {
  operatorToolCapabilities,
  requestClipboardRead,
  requestClipboardWrite,
  requestOperatorTool,
  requestScopedProcessExec,
  requestScopedWorkflow,
} from "@doorward/client/host-actions";
export {
  createPrivilegedActionBackendRequest,
  createPrivilegedActionCorrelationId,
} from "@doorward/client/host-actions";
export { extractPrivilegedActionRequest } from "@doorward/client/host-actions";
export {
  createClipboardReadActionRequest,
  createClipboardReadRequest,
  createClipboardWriteActionRequest,
  createClipboardWriteRequest,
  createFilesystemMutateActionRequest,
  createFilesystemScopeCapability,
  createHostsWriteActionRequest,
  createProcessExecActionRequest,
  createProcessScopeCapability,
  createWorkflowRunActionRequest,
} from "@doorward/client/host-actions";
export { requestPrivilegedAction } from "@doorward/client/host-actions";
export {
  formatPrivilegedActionError,
  getInlinePrivilegedActionErrorFormatterSource,
  isPrivilegedActionErrorResponse,
  isPrivilegedActionSuccessResponse,
  unwrapPrivilegedActionResponse,
} from "@doorward/client/host-actions";
export type {
  PrivilegedActionBackendRequest,
  PrivilegedActionErrorResponse,
  PrivilegedActionResponse,
  PrivilegedActionSuccessResponse,
  RequestOf,
  RequestPrivilegedActionOptions,
} from "@doorward/client/host-actions";
export { validateHostPrivilegedActionRequest } from "@doorward/client/host-actions";
