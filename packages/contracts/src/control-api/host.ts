import * as z from "zod";
import { ActionPreset } from "../host-actions/scopes.ts";
import { HostFacts } from "../host-facts.ts";
import { Policy, PolicyGrantRule } from "../policy.ts";
import { Sha256 } from "../text.ts";
import { route } from "./route.ts";

/** The decision on one path, explained. */
export const PathVerdict = z.strictObject({
  path: z.string().max(4096).describe("Path as asked"),
  resolved: z.string().max(4096).nullable().describe("What it resolves to; null when it does not exist"),
  allowed: z.boolean().describe("Whether it may be given to a machine"),
  access: z.enum(["ro", "rw"]).nullable().describe("Highest access; null when denied"),
  code: z.string().max(60).nullable().describe("Error code of a refusal"),
  rule: z.string().max(300).describe("Rule that decided"),
  reason: z.string().max(2000).describe("Why"),
  hint: z.string().max(1000).nullable().describe("Command that would change it"),
});
export type PathVerdict = z.infer<typeof PathVerdict>;

/** An image of this installation. */
export const ImageView = z.strictObject({
  id: Sha256,
  tag: z.string().max(300),
  recipe: z.string().max(300),
  sizeBytes: z.int(),
  createdAt: z.string().max(40),
  current: z.boolean().describe("Whether a machine of this installation has it"),
});
export type ImageView = z.infer<typeof ImageView>;

const PolicyView = z.strictObject({
  path: z.string().max(4096).describe("Path of policy.yaml"),
  exists: z.boolean().describe("Whether the file exists; without it nothing is allowed"),
  hash: Sha256.describe("Digest of the policy in force"),
  policy: Policy,
});

/** Routes of the host, its policy and its images. */
export const HOST_ROUTES = {
  "host.facts": route({
    method: "GET",
    path: "/v1/host",
    access: "operator",
    summary: "What this host can enforce",
    result: HostFacts,
  }),
  "policy.show": route({
    method: "GET",
    path: "/v1/policy",
    access: "operator",
    summary: "The policy in force",
    result: PolicyView,
  }),
  "policy.check": route({
    method: "POST",
    path: "/v1/policy/check",
    access: "operator",
    summary: "Whether a path may be given to a machine, and why",
    body: z.strictObject({ path: z.string().max(4096) }),
    result: PathVerdict,
  }),
  "policy.allow": route({
    method: "POST",
    path: "/v1/policy/allow",
    access: "operator",
    summary: "Add an allowed root",
    body: z.strictObject({ path: z.string().max(4096), access: z.enum(["ro", "rw"]) }),
    result: PolicyView,
  }),
  "policy.remove": route({
    method: "POST",
    path: "/v1/policy/remove",
    access: "operator",
    summary: "Remove an allowed root; machines that used it are cut",
    body: z.strictObject({ path: z.string().max(4096) }),
    result: PolicyView,
  }),
  "policy.reload": route({
    method: "POST",
    path: "/v1/policy/reload",
    access: "operator",
    summary: "Read policy.yaml again and judge every grant and machine anew",
    result: PolicyView,
  }),
  "policy.preset": route({
    method: "POST",
    path: "/v1/policy/presets",
    access: "operator",
    summary: "Enable a preset of host actions, or change where it works",
    body: z.strictObject({
      preset: ActionPreset,
      executables: z.array(z.string().min(1).max(4096)).min(1).max(10).optional(),
      cwdRoots: z.array(z.string().min(1).max(4096)).min(1).max(20).optional(),
    }),
    result: PolicyView,
  }),
  "policy.grant": route({
    method: "POST",
    path: "/v1/policy/grants",
    access: "operator",
    summary: "Add a rule of who may be granted what",
    body: PolicyGrantRule,
    result: PolicyView,
  }),
  "images.list": route({
    method: "GET",
    path: "/v1/images",
    access: "operator",
    summary: "Images of this installation",
    result: z.strictObject({ images: z.array(ImageView) }),
  }),
  "images.build": route({
    method: "POST",
    path: "/v1/images/build",
    access: "operator",
    summary: "Build the machine image of a profile when absent",
    body: z.strictObject({ profile: z.string().max(80).optional() }),
    result: ImageView,
    answer: "ndjson",
  }),
  "images.prune": route({
    method: "POST",
    path: "/v1/images/prune",
    access: "operator",
    summary: "Remove images that no machine uses",
    result: z.strictObject({ removed: z.array(z.string()) }),
  }),
} as const;
