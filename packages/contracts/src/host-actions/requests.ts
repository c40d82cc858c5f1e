import * as z from "zod";

/** Limits of one request; the source contract names none, so these are ours. */
export const ACTION_LIMITS = {
  clipboardBytes: 1_048_576,
  hostsRecords: 100,
  fileOperations: 100,
  contentBytes: 8_388_608,
  arguments: 256,
  argumentBytes: 32_768,
  environmentKeys: 64,
  inputBytes: 1_048_576,
  steps: 50,
} as const;

const Reason = z
  .string()
  .min(1)
  .max(1000)
  .optional()
  .describe("Why, for the person who confirms and for the audit");
const DryRun = z
  .boolean()
  .optional()
  .describe("Check and plan only, without effect and without confirmation");
const Encoding = z.enum(["utf8", "base64"]).optional().describe("How the text is encoded; utf8 when absent");

/** Id of a scope in the host's policy. */
export const ScopeId = z
  .string()
  .max(80)
  .regex(/^[a-z0-9][a-z0-9._-]*$/)
  .describe("Id of a scope in the host's policy");

/** An absolute path of this or another host, without control characters; what it resolves to is judged at use. */
export const ActionPath = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^(?:\/|[A-Za-z]:[\\/])[^\u0000-\u001f\u007f]*$/)
  .describe("Absolute path");

/** Reads the text of the host's clipboard. */
export const ClipboardReadRequest = z.strictObject({
  action: z.literal("system.clipboard.read").describe("The action"),
  payload: z.strictObject({ dryRun: DryRun, reason: Reason }).describe("What is asked for"),
});

/** Replaces the text of the host's clipboard. */
export const ClipboardWriteRequest = z.strictObject({
  action: z.literal("system.clipboard.write").describe("The action"),
  payload: z
    .strictObject({
      text: z.string().min(1).max(ACTION_LIMITS.clipboardBytes).describe("The text"),
      dryRun: DryRun,
      reason: Reason,
    })
    .describe("What is asked for"),
});

/** One line of the hosts file. */
export const HostsRecord = z.strictObject({
  address: z
    .string()
    .min(2)
    .max(45)
    .regex(/^[0-9A-Fa-f:.]+$/)
    .describe("IPv4 or IPv6 address"),
  hostname: z
    .string()
    .min(1)
    .max(253)
    .regex(
      /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/,
    )
    .describe("Host name"),
  comment: z
    .string()
    .max(200)
    .regex(/^[^\u0000-\u001f\u007f\u0085\u2028\u2029]*$/)
    .optional()
    .describe("Comment on the line; one line"),
});
export type HostsRecord = z.infer<typeof HostsRecord>;

/** Adds or replaces the records of one tagged section of the hosts file. */
export const HostsWriteRequest = z.strictObject({
  action: z
    .enum(["system.hosts.write", "system.host.write"])
    .describe("The action; the second name is an alias"),
  payload: z
    .strictObject({
      records: z.array(HostsRecord).min(1).max(ACTION_LIMITS.hostsRecords).describe("Records of the section"),
      dryRun: DryRun,
      tag: z
        .string()
        .min(1)
        .max(200)
        .optional()
        .describe("Name of the section; cleaned to A-Z a-z 0-9 . _ -"),
      reason: Reason,
    })
    .describe("What is asked for"),
});

const Mode = z
  .int()
  .min(0)
  .max(0o777)
  .optional()
  .describe("Permission bits of what is made; no setuid, setgid or sticky");
const Content = z.string().max(ACTION_LIMITS.contentBytes).describe("Content");

/** One structured operation on files. */
export const FileOperation = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("mkdir").describe("Make a folder"),
    path: ActionPath,
    recursive: z.boolean().optional().describe("Make missing parents too"),
    mode: Mode,
  }),
  z.strictObject({
    type: z.literal("writeFile").describe("Replace or make a file"),
    path: ActionPath,
    content: Content,
    encoding: Encoding,
    mode: Mode,
  }),
  z.strictObject({
    type: z.literal("appendFile").describe("Add to the end of a file"),
    path: ActionPath,
    content: Content,
    encoding: Encoding,
  }),
  z.strictObject({
    type: z.literal("rename").describe("Move within the scope"),
    from: ActionPath,
    to: ActionPath,
  }),
  z.strictObject({
    type: z.literal("remove").describe("Remove a file or folder"),
    path: ActionPath,
    recursive: z.boolean().optional().describe("Remove what a folder holds too"),
    force: z.boolean().optional().describe("Nothing to remove is no error"),
  }),
]);
export type FileOperation = z.infer<typeof FileOperation>;

/** Changes files within one file scope. */
export const FilesystemMutateRequest = z.strictObject({
  action: z.literal("system.fs.mutate").describe("The action"),
  payload: z
    .strictObject({
      scope: ScopeId,
      operations: z
        .array(FileOperation)
        .min(1)
        .max(ACTION_LIMITS.fileOperations)
        .describe("Operations, in order"),
      dryRun: DryRun,
      reason: Reason,
    })
    .describe("What is asked for"),
});

const commandFields = {
  command: ActionPath.describe("Absolute path of the program"),
  args: z
    .array(
      z
        .string()
        .max(ACTION_LIMITS.argumentBytes)
        .regex(/^[^\u0000]*$/),
    )
    .max(ACTION_LIMITS.arguments)
    .optional()
    .describe("Arguments, without the program"),
  cwd: ActionPath.optional().describe("Working folder"),
  env: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/),
      z
        .string()
        .max(ACTION_LIMITS.argumentBytes)
        .regex(/^[^\u0000]*$/),
    )
    .optional()
    .describe("Environment on top of the scope's own; only keys that the scope allows"),
  timeoutMs: z
    .number()
    .positive()
    .max(86_400_000)
    .optional()
    .describe("Time limit in milliseconds; the scope's when absent"),
  input: z.string().max(ACTION_LIMITS.inputBytes).optional().describe("Standard input"),
  encoding: Encoding,
  reason: Reason,
};

/** Runs a program within one process scope. */
export const ProcessExecRequest = z.strictObject({
  action: z.literal("system.process.exec").describe("The action"),
  payload: z.strictObject({ scope: ScopeId, ...commandFields, dryRun: DryRun }).describe("What is asked for"),
});

/** One step of a workflow. */
export const WorkflowStep = z.strictObject({
  id: ScopeId.describe("Id of the step, unique in its workflow"),
  title: z.string().min(1).max(200).describe("Title for people"),
  phase: z
    .enum(["inspect", "preview", "mutate", "apply", "cleanup"])
    .optional()
    .describe("What the step is for"),
  ...commandFields,
  onError: z
    .enum(["abort", "continue"])
    .optional()
    .describe("What its failure means for those after it; abort when absent"),
});
export type WorkflowStep = z.infer<typeof WorkflowStep>;

/** Runs several programs of one process scope in order. */
export const WorkflowRunRequest = z.strictObject({
  action: z.literal("system.workflow.run").describe("The action"),
  payload: z
    .strictObject({
      scope: ScopeId,
      kind: z.literal("process-sequence").describe("Kind of workflow"),
      title: z.string().min(1).max(200).describe("Title for people"),
      summary: z.string().max(2000).optional().describe("What it does, for people"),
      dryRun: DryRun,
      steps: z.array(WorkflowStep).min(1).max(ACTION_LIMITS.steps).describe("Steps, in order"),
      confirmation: z
        .strictObject({
          message: z.string().min(1).max(2000).describe("What the person who confirms is told"),
          requiredForStepIds: z
            .array(ScopeId)
            .max(ACTION_LIMITS.steps)
            .optional()
            .describe("Steps that it is about"),
        })
        .optional()
        .describe("What the asker says to the person who confirms"),
      reason: Reason,
    })
    .describe("What is asked for"),
});

/** A request for a privileged action on the host. */
export const HostActionRequest = z.discriminatedUnion("action", [
  ClipboardReadRequest,
  ClipboardWriteRequest,
  HostsWriteRequest,
  FilesystemMutateRequest,
  ProcessExecRequest,
  WorkflowRunRequest,
]);
export type HostActionRequest = z.infer<typeof HostActionRequest>;

/** The actions, by their first names. */
export const HOST_ACTIONS = [
  "system.clipboard.read",
  "system.clipboard.write",
  "system.hosts.write",
  "system.fs.mutate",
  "system.process.exec",
  "system.workflow.run",
] as const;
export type HostAction = (typeof HOST_ACTIONS)[number];
