import type { ActionPreset } from "@doorward/contracts";
import {
  createClipboardReadRequest,
  createClipboardWriteRequest,
  createProcessExecActionRequest,
  createProcessScopeCapability,
  createWorkflowRunActionRequest,
} from "./factories.ts";
import { requestPrivilegedAction } from "./request.ts";
import type { PrivilegedActionResponse, RequestOf, RequestPrivilegedActionOptions } from "./types.ts";

type ExecPayload = Omit<RequestOf<"system.process.exec">["payload"], "scope">;
type WorkflowPayload = Omit<RequestOf<"system.workflow.run">["payload"], "scope" | "kind">;

/** Asks for the clipboard's text. */
export function requestClipboardRead(
  reasonOrOptions?: string | RequestPrivilegedActionOptions,
  options?: RequestPrivilegedActionOptions,
): Promise<PrivilegedActionResponse<{ readonly text: string }>> {
  const [reason, how] = split(reasonOrOptions, options);
  return requestPrivilegedAction(createClipboardReadRequest(reason), withPrefix("clipboard", how));
}

/** Asks to replace the clipboard's text. */
export function requestClipboardWrite(
  text: string,
  reasonOrOptions?: string | RequestPrivilegedActionOptions,
  options?: RequestPrivilegedActionOptions,
): Promise<PrivilegedActionResponse<{ readonly bytesWritten: number }>> {
  const [reason, how] = split(reasonOrOptions, options);
  return requestPrivilegedAction(createClipboardWriteRequest(text, reason), withPrefix("clipboard", how));
}

/** Asks to run a program of a process scope. */
export function requestScopedProcessExec<Result = unknown>(
  scope: string,
  payload: ExecPayload,
  options?: RequestPrivilegedActionOptions,
): Promise<PrivilegedActionResponse<Result>> {
  const request = createProcessExecActionRequest({
    action: "system.process.exec",
    payload: { scope, ...payload },
  });
  return requestPrivilegedAction<Result>(request, withPrefix(scope, options));
}

/** Asks to run a well-known tool; its scope has the preset's name. */
export function requestOperatorTool<Result = unknown>(
  preset: ActionPreset,
  payload: ExecPayload,
  options?: RequestPrivilegedActionOptions,
): Promise<PrivilegedActionResponse<Result>> {
  return requestScopedProcessExec<Result>(preset, payload, options);
}

/** Asks to run a workflow of a process scope. */
export function requestScopedWorkflow<Result = unknown>(
  scope: string,
  payload: WorkflowPayload,
  options?: RequestPrivilegedActionOptions,
): Promise<PrivilegedActionResponse<Result>> {
  const request = createWorkflowRunActionRequest({
    action: "system.workflow.run",
    payload: { scope, kind: "process-sequence", ...payload },
  });
  return requestPrivilegedAction<Result>(request, withPrefix(`${scope}-workflow`, options));
}

/** Capabilities that a well-known tool needs. */
export function operatorToolCapabilities(preset: ActionPreset): readonly string[] {
  return ["system.process.exec", createProcessScopeCapability(preset)];
}

function split(
  reasonOrOptions: string | RequestPrivilegedActionOptions | undefined,
  options: RequestPrivilegedActionOptions | undefined,
): readonly [string | undefined, RequestPrivilegedActionOptions | undefined] {
  return typeof reasonOrOptions === "object" ? [undefined, reasonOrOptions] : [reasonOrOptions, options];
}

function withPrefix(
  prefix: string,
  options: RequestPrivilegedActionOptions = {},
): RequestPrivilegedActionOptions {
  return { correlationIdPrefix: prefix, ...options };
}
