import * as z from "zod";
import { route } from "./route.ts";

/** One record in a listing. */
export const EvidenceRow = z.strictObject({
  index: z.int().describe("Index of the leaf"),
  at: z.string().max(40).describe("When"),
  type: z.string().max(60).describe("Kind of record, e.g. launch"),
  subject: z.string().max(200).nullable().describe("Who"),
  machine: z.string().max(60).nullable().describe("Name of the machine"),
  summary: z.string().max(1000).describe("One line for people, control characters escaped"),
});
export type EvidenceRow = z.infer<typeof EvidenceRow>;

/** Routes of evidence; verification needs no bridge and is done by the command itself. */
export const EVIDENCE_ROUTES = {
  "evidence.list": route({
    method: "GET",
    path: "/v1/evidence",
    access: "operator",
    summary: "Records, newest first",
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(1000).optional(),
      before: z.coerce.number().int().min(0).optional(),
      type: z.string().max(60).optional(),
      machine: z.string().max(60).optional(),
      grant: z.string().max(60).optional(),
    }),
    result: z.strictObject({ records: z.array(EvidenceRow), size: z.int() }),
  }),
  "evidence.show": route({
    method: "GET",
    path: "/v1/evidence/{index}",
    access: "operator",
    summary: "One record with its envelope",
    params: z.strictObject({ index: z.coerce.number().int().min(0) }),
    result: z.strictObject({
      index: z.int(),
      statement: z.record(z.string(), z.unknown()),
      envelope: z.record(z.string(), z.unknown()),
    }),
  }),
  "evidence.checkpoint": route({
    method: "GET",
    path: "/v1/evidence/checkpoint",
    access: "operator",
    summary: "Newest signed checkpoint, after everything durable",
    result: z.strictObject({
      checkpoint: z.string(),
      vkey: z.string(),
      dir: z.string().describe("Folder of the log"),
    }),
  }),
} as const;
