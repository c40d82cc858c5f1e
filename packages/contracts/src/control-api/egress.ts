import * as z from "zod";
import { EgressHost, EgressPreset } from "../egress.ts";
import { Duration, MachineId, MachineName, Subject, Timestamp } from "../text.ts";
import { route } from "./route.ts";

const Port = z.int().min(1).max(65_535).describe("Port");
const PortOrNone = z.int().min(0).max(65_535).describe("Port; 0 where none could be read");

/** Id of an allowance. */
export const EgressAllowanceId = z
  .string()
  .regex(/^x_[a-z0-9]{10,32}$/)
  .describe("Id of the allowance");

/** A rule that is in force for a machine. */
export const EgressRuleView = z.strictObject({
  host: EgressHost,
  ports: z.array(Port).max(20).describe("Ports"),
  source: z.string().max(300).describe("Where it comes from, e.g. preset npm or policy egress"),
  internal: z.boolean().describe("Whether it names an internal target by its addresses"),
  tls: z.enum(["blind", "open"]).describe("Whether TLS passes unread or is opened"),
});
export type EgressRuleView = z.infer<typeof EgressRuleView>;

/** A host that the operator allowed one machine by command, beside the policy. */
export const EgressAllowance = z.strictObject({
  id: EgressAllowanceId,
  machine: MachineId,
  host: EgressHost,
  ports: z.array(Port).max(20).describe("Ports; empty for all, as a denial has it"),
  effect: z.enum(["allow", "deny"]).describe("Whether it opens the host for the machine or closes it"),
  by: Subject,
  createdAt: Timestamp.describe("When it was given"),
  expiresAt: Timestamp.nullable().describe("When it ends; null for as long as the machine exists"),
});
export type EgressAllowance = z.infer<typeof EgressAllowance>;

/** A host that a machine asked for and did not get. */
export const EgressRefusal = z.strictObject({
  host: z
    .string()
    .max(300)
    .describe(
      'Host as it was asked for, control characters escaped; "(unreadable)" where none could be read',
    ),
  port: PortOrNone,
  code: z.string().max(60).describe("Error code of the refusal"),
  count: z.int().describe("How often since the bridge started"),
  firstAt: Timestamp.describe("When first"),
  lastAt: Timestamp.describe("When last"),
  command: z.string().max(500).nullable().describe("Command that would allow it; null when none would"),
});
export type EgressRefusal = z.infer<typeof EgressRefusal>;

/** What one machine may reach, reaches and was refused. */
export const EgressView = z.strictObject({
  machine: MachineId,
  name: MachineName,
  presets: z.array(EgressPreset).max(20).describe("Presets in force"),
  rules: z.array(EgressRuleView).max(2000).describe("Rules in force, those of presets included"),
  deny: z.array(EgressHost).max(1000).describe("Hosts that stay refused, whatever allows them"),
  allowances: z.array(EgressAllowance).max(1000).describe("What commands allowed and denied"),
  refused: z.array(EgressRefusal).max(500).describe("What was refused, newest first"),
  askSeconds: z.int().describe("How long a connection to an unknown host waits for the operator"),
  connections: z.int().describe("Connections that are open now"),
});
export type EgressView = z.infer<typeof EgressView>;

/** One line of a watch: what a machine did with one host since the watch began. */
export const EgressTraffic = z.strictObject({
  machine: MachineName,
  host: z
    .string()
    .max(300)
    .describe('Host, control characters escaped; "(unreadable)" where none could be read'),
  port: PortOrNone,
  decision: z.enum(["asked", "allowed", "refused"]).describe("What became of it last"),
  rule: z.string().max(300).nullable().describe("Rule that allowed it, or error code of the refusal"),
  open: z.int().describe("Connections that are open now"),
  connections: z.int().describe("Connections and refusals together"),
  sent: z.int().describe("Bytes that left the machine"),
  received: z.int().describe("Bytes that came back"),
  at: Timestamp.describe("When it changed last"),
});
export type EgressTraffic = z.infer<typeof EgressTraffic>;

/** What `doorward egress allow` asks for. */
export const EgressAllowRequest = z.strictObject({
  host: EgressHost,
  ports: z.array(Port).min(1).max(20).optional().describe("Ports; 443 alone when absent"),
  for: Duration.optional().describe("How long; as long as the machine exists when absent"),
});
export type EgressAllowRequest = z.infer<typeof EgressAllowRequest>;

const ByMachine = z.strictObject({ machine: z.string().min(1).max(60).describe("Name or id of a machine") });

/** Routes of the way out; all are the operator's. */
export const EGRESS_ROUTES = {
  "egress.show": route({
    method: "GET",
    path: "/v1/machines/{machine}/egress",
    access: "operator",
    summary: "What a machine may reach, and what it was refused",
    params: ByMachine,
    result: EgressView,
  }),
  "egress.allow": route({
    method: "POST",
    path: "/v1/machines/{machine}/egress/allow",
    access: "operator",
    summary: "Let a machine reach a host, for a time or as long as it exists",
    params: ByMachine,
    body: EgressAllowRequest,
    result: EgressAllowance,
  }),
  "egress.deny": route({
    method: "POST",
    path: "/v1/machines/{machine}/egress/deny",
    access: "operator",
    summary: "Close a host for a machine; live connections to it are cut",
    params: ByMachine,
    body: z.strictObject({ host: EgressHost }),
    result: z.strictObject({
      denied: EgressAllowance.describe("The denial, in force until the host is allowed by command"),
      ended: z.array(EgressAllowanceId).max(1000).describe("Allowances that it ended"),
      cut: z.int().describe("Connections that it cut"),
    }),
  }),
  "egress.watch": route({
    method: "GET",
    path: "/v1/machines/{machine}/egress/watch",
    access: "operator",
    summary: "Traffic of a machine as it happens, until the caller goes away or the machine ends",
    params: ByMachine,
    event: EgressTraffic,
    result: z.strictObject({ ended: z.string().max(300).describe("Why the watch ended") }),
    answer: "ndjson",
  }),
} as const;
