import type { HostActionRequest } from "@doorward/contracts";

/** How a request is sent. */
export interface RequestPrivilegedActionOptions {
  /** Used as it is. */
  readonly correlationId?: string;
  /** Start of the correlation id that is made when none is given. */
  readonly correlationIdPrefix?: string;
  /** Name of the host's handler; `requestPrivilegedAction` when absent. */
  readonly handler?: string;
}

/** An action that was done, or planned. */
export interface PrivilegedActionSuccessResponse<Result = unknown> {
  readonly ok: true;
  readonly correlationId: string;
  readonly result?: Result;
}

/** An action that was refused or failed. */
export interface PrivilegedActionErrorResponse {
  readonly ok: false;
  readonly correlationId: string;
  readonly error: string;
  readonly code?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
}

/** The answer to any action. */
export type PrivilegedActionResponse<Result = unknown> =
  PrivilegedActionSuccessResponse<Result> | PrivilegedActionErrorResponse;

/** What a transport carries: a request with its correlation id. */
export interface PrivilegedActionBackendRequest<Request = HostActionRequest> {
  readonly correlationId: string;
  readonly request: Request;
}

/** A request for one action. */
export type RequestOf<Action extends HostActionRequest["action"]> = Extract<
  HostActionRequest,
  { readonly action: Action }
>;
