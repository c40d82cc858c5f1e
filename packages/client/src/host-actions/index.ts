export {
  operatorToolCapabilities,
  requestClipboardRead,
  requestClipboardWrite,
  requestOperatorTool,
  requestScopedProcessExec,
  requestScopedWorkflow,
} from "./convenience.ts";
export { createPrivilegedActionBackendRequest, createPrivilegedActionCorrelationId } from "./correlation.ts";
export { extractPrivilegedActionRequest } from "./extract.ts";
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
} from "./factories.ts";
export { requestPrivilegedAction } from "./request.ts";
export {
  formatPrivilegedActionError,
  getInlinePrivilegedActionErrorFormatterSource,
  isPrivilegedActionErrorResponse,
  isPrivilegedActionSuccessResponse,
  unwrapPrivilegedActionResponse,
} from "./responses.ts";
export type {
  PrivilegedActionBackendRequest,
  PrivilegedActionErrorResponse,
  PrivilegedActionResponse,
  PrivilegedActionSuccessResponse,
  RequestOf,
  RequestPrivilegedActionOptions,
} from "./types.ts";
export { validateHostPrivilegedActionRequest } from "./validate.ts";
