import * as z from "zod";
import { ApprovalId, Code, Count, KeyedDigest, Note, RecordPlugin, Word, recordFields } from "./common.ts";

const capability = z
  .string()
  .regex(/^[a-z][a-z0-9:._-]{0,119}$/)
  .describe("Name of a capability");
const state = z
  .enum(["absent", "verified", "installed", "active", "disabled", "rejected"])
  .describe("State of a plugin");

/** A plugin went, or was refused to go, from one state to another, or its runtime did. */
export const PluginLifecyclePredicate = z.strictObject({
  ...recordFields,
  plugin: RecordPlugin,
  publisher: z
    .string()
    .min(1)
    .max(200)
    .nullable()
    .describe("Who signed its manifest, by a key that is trusted; null when nobody did"),
  capabilities: z.array(capability).max(100).describe("Capabilities that it has in its new state"),
  from: state.describe("State before"),
  to: state.describe("State that it has now, or that was refused"),
  runtime: z
    .enum(["none", "armed", "running", "stopped", "failed"])
    .describe("Its runtime now; none when it has no runtime"),
  cause: z
    .enum([
      "command",
      "api",
      "policy",
      "verification",
      "crash",
      "limit",
      "upgrade",
      "bridge-start",
      "bridge-stop",
    ])
    .describe("What caused it"),
  outcome: z.enum(["done", "refused"]).describe("Whether it happened"),
  code: Code.nullable().describe("Error code of a refusal or of what went wrong; null otherwise"),
  detail: Note.nullable().describe("What differed or failed; null when there is nothing to add"),
});

/** A plugin asked the host for something; allowed or not, with digests instead of contents. */
export const PluginHostCallPredicate = z.strictObject({
  ...recordFields,
  plugin: RecordPlugin,
  call: Word.describe("What was asked for, e.g. kv.get, http.do"),
  capability: capability.nullable().describe("The capability that it needs; null when none"),
  scope: z
    .string()
    .min(1)
    .max(200)
    .nullable()
    .describe("Scope of the call, e.g. a namespace or host; null when none"),
  arguments: KeyedDigest.describe("Keyed digest of the canonical JSON of its arguments"),
  decision: z.enum(["allowed", "denied"]).describe("Whether the broker let it through"),
  code: Code.nullable().describe("Error code; null when it succeeded"),
  result: KeyedDigest.nullable().describe("Keyed digest of the answer; null when there is none"),
  resultBytes: Count.describe("Bytes of the answer"),
  durationMs: Count.describe("Milliseconds that it took"),
  approval: ApprovalId.nullable().describe("The decision it ran under; null when none was needed"),
});
