import * as z from "zod";
import { EgressHost } from "../egress.ts";
import { SecretName } from "../secrets.ts";
import { Timestamp } from "../text.ts";
import { Code, Count, RecordMachine, recordFields } from "./common.ts";

const Port = z.int().min(1).max(65_535);

/** Connections of a machine to one host, grouped over at most a minute; the record's subject is who launched the machine. */
export const EgressPredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  host: z
    .string()
    .max(300)
    .nullable()
    .describe(
      "Host as it was asked for, control characters escaped; null for all beyond the limit of a group",
    ),
  port: Port.nullable().describe("Port; null for all beyond the limit of a group"),
  address: z.string().max(60).nullable().describe("Address that was dialled; null when none was"),
  decision: z.enum(["allowed", "refused"]).describe("What was decided"),
  rule: z.string().max(300).nullable().describe("Rule that decided; null when none names the host"),
  code: Code.nullable().describe(
    "Error code of the refusal, or of how the last connection failed; null when none",
  ),
  connections: Count.describe("Connections, refused ones included"),
  sent: Count.describe("Bytes that left the machine"),
  received: Count.describe("Bytes that came back"),
  secrets: z
    .array(z.string().max(120))
    .max(50)
    .describe("Names of secrets whose values were put into requests; never a value"),
  requests: z
    .array(
      z.strictObject({
        method: z.string().max(20).describe("HTTP method"),
        path: z.string().max(1000).describe("Path without its query, control characters escaped"),
        status: z.int().min(0).max(999).describe("Status of the answer; 0 when none came"),
        count: Count,
      }),
    )
    .max(100)
    .describe("Requests, only where a rule of the operator opened the host; what does not fit is not kept"),
  from: Timestamp.describe("When counting began"),
  to: Timestamp.describe("When counting ended"),
});

/** What a machine may reach was changed by command, beside the policy; the record's subject is who did it. */
export const EgressChangePredicate = z.strictObject({
  ...recordFields,
  machine: RecordMachine,
  change: z.enum(["allowed", "denied", "ended"]).describe("Opened, closed, or an allowance that was over"),
  host: EgressHost,
  ports: z.array(Port).max(20).describe("Ports; empty for all"),
  expiresAt: Timestamp.nullable().describe("When it ends; null for as long as the machine exists"),
  connectionsCut: Count.describe("Live connections that it ended"),
});

/** A secret of the operator was set or deleted; the record's subject is who did it. Nothing is derived from a value. */
export const SecretChangePredicate = z.strictObject({
  ...recordFields,
  secret: SecretName,
  change: z
    .enum(["set", "replaced", "removed"])
    .describe("What was done; a value is recorded before it is stored, a removal after it"),
});
