import * as z from "zod";

const DateTime = z
  .string()
  .regex(
    /^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$/,
  )
  .meta({ format: "date-time" });

const StorageBackend = z.enum([
  "podman-bind",
  "podman-machine-bind",
  "wsl-bind",
  "native-bind",
  "topolvm-local-pv",
  "other",
]);

const MountEvidence = z.strictObject({
  mountId: z.string().describe("Id of the mount"),
  pathClass: z
    .enum(["code", "documents", "downloads", "cache", "artifacts", "media", "app-bridge"])
    .describe("What the mount is for"),
  hostPathRef: z.string().nullable().optional().describe("Host path, user name redacted; null when not told"),
  agentPath: z.string().describe("Path in the machine"),
  accessMode: z
    .enum(["read-only", "read-write", "browser-read-write-agent-read-only", "write-only-artifacts"])
    .describe("Access"),
  storageBackend: z.string().nullable().optional().describe("Storage of this mount when it is another one"),
  gitRef: z.string().nullable().optional().describe("Commit or branch of the repo"),
  contentHash: z.string().nullable().optional().describe("Digest of the content"),
  secretsProhibited: z.boolean().describe("Whether secrets are kept out"),
  directExecutionAllowed: z.boolean().optional().describe("Whether files may be executed in place"),
  existsAtRunStart: z
    .boolean()
    .nullable()
    .optional()
    .describe("Whether the host path was there at the start"),
});

const DeniedAttempt = z.strictObject({
  pathRef: z.string().describe("Path that was asked for, redacted"),
  reason: z.string().describe("Why it was denied"),
  severity: z.enum(["warn", "deny"]).optional().describe("Whether it was only warned of"),
});

const DownloadArtifact = z.strictObject({
  artifactRef: z.string().describe("Reference of the download"),
  pathRef: z.string().describe("Where it lies"),
  sha256: z.string().describe("Its digest"),
  mimeType: z.string().nullable().optional().describe("Its media type"),
  sourceDomain: z.string().nullable().optional().describe("Domain it came from"),
  sourceUrlRedacted: z.string().nullable().optional().describe("Its URL, redacted"),
  promotedTo: z.string().nullable().optional().describe("Where it was promoted to"),
  promotionEvidenceRef: z.string().nullable().optional().describe("Evidence of the promotion"),
});

const TopolvmPlacement = z.strictObject({
  nodeName: z.string().nullable().optional().describe("Node"),
  storageClassName: z.string().nullable().optional().describe("Storage class"),
  pvRefs: z.array(z.string()).optional().describe("Persistent volumes"),
  pvcRefs: z.array(z.string()).optional().describe("Claims"),
  sharedStorageSemantics: z
    .enum(["node-local", "replicated-by-higher-layer", "external-shared-storage"])
    .nullable()
    .optional()
    .describe("Whether the storage is shared between nodes"),
});

/**
 * AgentPlane's evidence of the mounts of a run, to the letter of its closed schema v0.1: `kind` instead of `type`, no
 * bounds of ours. The bridge emits one at each launch.
 */
export const AgentMachineMountEvidence = z
  .strictObject({
    kind: z.literal("AgentMachineMountEvidence").describe("Kind of the document"),
    capturedAt: DateTime.describe("When the mounts were observed"),
    workspaceId: z.string().describe("Workspace, which is the machine's"),
    bundle: z.string().nullable().optional().describe("Bundle that ran, as name@version"),
    executor: z.string().describe("What launched the machine"),
    backendIntent: z.literal("agent-machine").describe("Backend"),
    localDataPlaneRef: z.string().describe("URN of the local data plane"),
    mountPolicyRef: z.string().describe("URN of the mount policy"),
    secureHostInterfaceRef: z.string().nullable().optional().describe("URN of the secure host interface"),
    topolvmPlacementProfileRef: z.string().nullable().optional().describe("URN of the placement profile"),
    storageBackend: StorageBackend.describe("Storage of the mounts"),
    policyHash: z.string().describe("Digest of the policy in force"),
    gitRef: z.string().nullable().optional().describe("Commit or branch of the first repo"),
    mounts: z.array(MountEvidence).min(1).describe("Mounts that the machine sees"),
    deniedAttempts: z.array(DeniedAttempt).optional().describe("What was asked for and denied"),
    downloadArtifacts: z.array(DownloadArtifact).optional().describe("Files that were downloaded"),
    topolvmPlacement: TopolvmPlacement.nullable().optional().describe("Where volumes were placed"),
    redactionSummary: z
      .strictObject({
        hostUserRedacted: z.boolean().optional().describe("Whether host user names were redacted"),
        secretLikeValuesRedacted: z.int().min(0).optional().describe("Number of redacted values"),
        notes: z.string().optional().describe("More about it"),
      })
      .optional()
      .describe("What was redacted"),
  })
  .describe("Mounts of an agent machine's run, as AgentPlane's closed schema v0.1 has it");
export type AgentMachineMountEvidence = z.infer<typeof AgentMachineMountEvidence>;
