import { filesystemScopeCapability, processScopeCapability } from "@doorward/contracts";
import type { HostActionRequest } from "@doorward/contracts";
import type { RequestOf } from "./types.ts";
import { validateHostPrivilegedActionRequest } from "./validate.ts";

/** A validated request to read the clipboard. */
export function createClipboardReadActionRequest(
  request: RequestOf<"system.clipboard.read">,
): RequestOf<"system.clipboard.read"> {
  return checked(request);
}

/** A validated request to replace the clipboard. */
export function createClipboardWriteActionRequest(
  request: RequestOf<"system.clipboard.write">,
): RequestOf<"system.clipboard.write"> {
  return checked(request);
}

/** A validated request to write a section of the hosts file. */
export function createHostsWriteActionRequest(
  request: RequestOf<"system.hosts.write" | "system.host.write">,
): RequestOf<"system.hosts.write" | "system.host.write"> {
  return checked(request);
}

/** A validated request for file operations. */
export function createFilesystemMutateActionRequest(
  request: RequestOf<"system.fs.mutate">,
): RequestOf<"system.fs.mutate"> {
  return checked(request);
}

/** A validated request to run a program. */
export function createProcessExecActionRequest(
  request: RequestOf<"system.process.exec">,
): RequestOf<"system.process.exec"> {
  return checked(request);
}

/** A validated request to run a workflow. */
export function createWorkflowRunActionRequest(
  request: RequestOf<"system.workflow.run">,
): RequestOf<"system.workflow.run"> {
  return checked(request);
}

/** A request to read the clipboard. */
export function createClipboardReadRequest(reason?: string): RequestOf<"system.clipboard.read"> {
  return checked({ action: "system.clipboard.read", payload: reason === undefined ? {} : { reason } });
}

/** A request to replace the clipboard. */
export function createClipboardWriteRequest(
  text: string,
  reason?: string,
): RequestOf<"system.clipboard.write"> {
  const payload = reason === undefined ? { text } : { text, reason };
  return checked({ action: "system.clipboard.write", payload });
}

/** The capability of a file scope: `system.fs.scope.<id>`. */
export function createFilesystemScopeCapability(scopeId: string): string {
  return filesystemScopeCapability(scopeId);
}

/** The capability of a process scope: `system.process.scope.<id>`. */
export function createProcessScopeCapability(scopeId: string): string {
  return processScopeCapability(scopeId);
}

function checked<Request extends HostActionRequest>(request: Request): Request {
  validateHostPrivilegedActionRequest(request);
  return request;
}
