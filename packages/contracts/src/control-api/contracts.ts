import * as z from "zod";
import { Sha256 } from "../text.ts";
import { route } from "./route.ts";

/** A contract of one profile, as it is in force, or a document of the operator that is not. */
export const ContractView = z.strictObject({
  id: z.string().max(300).describe("URN of the document"),
  type: z.string().max(60).describe("Type of the document"),
  profile: z.string().max(80).describe("Profile that it belongs to"),
  source: z
    .enum(["derived", "file"])
    .describe("Made by the bridge from policy.yaml and the defaults, or written by the operator"),
  path: z.string().max(4096).nullable().describe("File of the operator; null for a derived document"),
  inForce: z.boolean().describe("Whether the bridge goes by it"),
  note: z.string().max(2000).nullable().describe("What of it is not in force, and why; null when all is"),
  document: z.record(z.string(), z.unknown()).describe("The document, narrowed to what is in force"),
});
export type ContractView = z.infer<typeof ContractView>;

/** Routes of the contracts in force. */
export const CONTRACT_ROUTES = {
  "contracts.list": route({
    method: "GET",
    path: "/v1/contracts",
    access: "operator",
    summary: "Contracts in force for every profile, the operator's documents and the derived ones",
    result: z.strictObject({
      policyHash: Sha256.describe("Digest of the policy that they are part of"),
      folder: z.string().max(4096).describe("Folder of the operator's documents"),
      contracts: z.array(ContractView).max(2000),
    }),
  }),
} as const;
