import * as z from "zod";
import { ScopeId } from "./requests.ts";

/** Codes of a failed action, to the letter of the source contract and its reference host. */
export const ACTION_CODES = [
  "VALIDATION_FAILED",
  "CAPABILITY_DENIED",
  "SCOPE_DENIED",
  "SCOPE_VIOLATION",
  "CANCELLED",
  "TIMEOUT",
  "PROCESS_EXIT_NON_ZERO",
  "PROCESS_SPAWN_ENOENT",
  "PROCESS_SPAWN_PERMISSION_DENIED",
  "OS_ERROR",
  "CLIPBOARD_UNSUPPORTED",
  "CLIPBOARD_READ_FAILED",
  "CLIPBOARD_WRITE_FAILED",
  "STEP_SCOPE_VIOLATION",
  "STEP_TIMEOUT",
  "STEP_FAILED",
  "STEP_CANCELLED",
  "STEP_PROCESS_SPAWN_ENOENT",
  "STEP_PROCESS_SPAWN_PERMISSION_DENIED",
  "STEP_OS_ERROR",
  "ACTION_NOT_SUPPORTED",
  "HOST_ACTION_FAILED",
  "PLUGIN_BACKEND_HANDLER_FAILED",
] as const;
export const ActionCode = z.enum(ACTION_CODES).describe("Code of a failed action");
export type ActionCode = z.infer<typeof ActionCode>;

/** Why a request lies outside its scope. */
export const ScopeViolationReason = z
  .enum([
    "SCOPE_NOT_CONFIGURED",
    "COMMAND_PATH_NOT_ABSOLUTE",
    "COMMAND_NOT_ALLOWLISTED",
    "CWD_PATH_NOT_ABSOLUTE",
    "CWD_OUTSIDE_ALLOWED_ROOTS",
    "ENV_KEYS_NOT_ALLOWED",
    "TIMEOUT_EXCEEDS_SCOPE_CEILING",
    "ARGUMENT_POLICY_VIOLATION",
    "ARGUMENT_NOT_ALLOWED",
    "ARGUMENT_PATH_REQUIRES_ABSOLUTE",
    "ARGUMENT_PATH_OUTSIDE_ALLOWED_ROOTS",
    "SCOPE_POLICY_VIOLATION",
  ])
  .describe("Why a request lies outside its scope");
export type ScopeViolationReason = z.infer<typeof ScopeViolationReason>;

/** How a request lies outside its scope. */
export const ScopeViolation = z.strictObject({
  reason: ScopeViolationReason,
  message: z.string().max(1000).describe("The reason for people"),
  argument: z.string().max(1000).optional().describe("The argument that is not allowed"),
  argumentPath: z.string().max(4096).optional().describe("The path in it"),
  pathSource: z.enum(["argument", "cwd"]).optional().describe("Where the path came from"),
  deniedEnvKeys: z
    .array(z.string().max(128))
    .max(64)
    .optional()
    .describe("Environment keys that are not allowed"),
  timeoutCeilingMs: z.number().optional().describe("The scope's time limit"),
  requestedTimeoutMs: z.number().optional().describe("The time limit that was asked for"),
});
export type ScopeViolation = z.infer<typeof ScopeViolation>;

/** What a program did. */
export const ProcessResult = z.strictObject({
  command: z.string().max(4096).describe("Absolute path of the program"),
  args: z.array(z.string()).max(256).describe("Its arguments"),
  cwd: z.string().max(4096).describe("Its working folder"),
  exitCode: z.int().nullable().describe("Exit code; null when it was ended"),
  stdout: z.string().describe("Standard output, up to the scope's limit"),
  stderr: z.string().describe("Standard error, up to the scope's limit"),
  truncated: z.boolean().optional().describe("Whether the limit cut the output"),
  timedOut: z.boolean().describe("Whether the time limit ended it"),
  durationMs: z.int().min(0).describe("How long it ran"),
  dryRun: z.literal(false).describe("It really ran"),
});
export type ProcessResult = z.infer<typeof ProcessResult>;

/** What a program would have been run as. */
export const ProcessPlan = z.strictObject({
  dryRun: z.literal(true).describe("Nothing ran"),
  command: z.string().max(4096).describe("Absolute path of the program"),
  args: z.array(z.string()).max(256).describe("Its arguments"),
  cwd: z.string().max(4096).describe("Its working folder"),
  scope: ScopeId,
});
export type ProcessPlan = z.infer<typeof ProcessPlan>;

/** One step of a workflow, as it went. */
export const WorkflowStepResult = z.strictObject({
  stepId: ScopeId,
  title: z.string().max(200).describe("Its title"),
  phase: z.enum(["inspect", "preview", "mutate", "apply", "cleanup"]).optional().describe("What it is for"),
  status: z.enum(["completed", "failed", "skipped"]).describe("How it went"),
  correlationId: z.string().max(400).optional().describe("Correlation id of the step"),
  result: z.union([ProcessResult, ProcessPlan]).optional().describe("What its program did"),
  error: z.string().max(2000).optional().describe("Why it failed"),
  code: z.string().max(80).optional().describe("Code of its failure"),
});
export type WorkflowStepResult = z.infer<typeof WorkflowStepResult>;

/** What a workflow did. */
export const WorkflowResult = z.strictObject({
  workflowId: z.string().max(200).describe("Id of this run"),
  kind: z.literal("process-sequence").describe("Kind of workflow"),
  scope: ScopeId,
  title: z.string().max(200).describe("Its title"),
  status: z.enum(["completed", "partial", "failed"]).describe("How it went"),
  dryRun: z.boolean().optional().describe("Whether nothing ran"),
  steps: z.array(WorkflowStepResult).max(50).describe("Every step, the skipped ones too"),
  summary: z
    .strictObject({
      totalSteps: z.int().min(0).describe("Steps in all"),
      completedSteps: z.int().min(0).describe("Steps that completed"),
      failedSteps: z.int().min(0).describe("Steps that failed"),
      skippedSteps: z.int().min(0).describe("Steps that never ran"),
    })
    .describe("Counts"),
});
export type WorkflowResult = z.infer<typeof WorkflowResult>;

/** The answer to any action: what it did, or why it did not. */
export const HostActionResponse = z.discriminatedUnion("ok", [
  z.strictObject({
    ok: z.literal(true).describe("It was done, or planned"),
    correlationId: z.string().min(1).max(400).describe("Ties request, answer and records together"),
    result: z.unknown().optional().describe("What it did; its shape depends on the action"),
  }),
  z.strictObject({
    ok: z.literal(false).describe("It was not done, or failed"),
    correlationId: z.string().min(1).max(400).describe("Ties request, answer and records together"),
    error: z.string().max(4000).describe("What went wrong, for people"),
    code: ActionCode.optional(),
    details: z
      .record(z.string(), z.unknown())
      .optional()
      .describe("Details of a refusal, e.g. scopeViolation"),
    result: z.unknown().optional().describe("What was done before it failed"),
  }),
]);
export type HostActionResponse = z.infer<typeof HostActionResponse>;
