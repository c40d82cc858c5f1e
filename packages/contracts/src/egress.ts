import * as z from "zod";

/** Sets of hosts that are allowed by one word; what each holds is listed in docs/egress.md. */
export const EGRESS_PRESETS = [
  "npm",
  "pypi",
  "debian",
  "github",
  "anthropic",
  "openai",
  "crates",
  "go",
] as const;
export const EgressPreset = z.enum(EGRESS_PRESETS).describe("A named set of hosts");
export type EgressPreset = z.infer<typeof EgressPreset>;

/** A host name in lower case; a leading `*.` stands for exactly one label. */
export const EgressHost = z
  .string()
  .max(253)
  .regex(/^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
  .describe("Host name in lower case; a leading *. stands for exactly one label");

/** A range of addresses in CIDR notation, e.g. 10.1.0.0/16 or fd00::/8. */
export const EgressRange = z
  .string()
  .max(50)
  .regex(/^[0-9a-f:.]+\/[0-9]{1,3}$/)
  .describe("Range of addresses in CIDR notation");

/** One thing that machines may reach. */
export const EgressRule = z.strictObject({
  host: EgressHost,
  ports: z
    .array(z.int().min(1).max(65_535))
    .min(1)
    .max(20)
    .optional()
    .describe("Ports; 443 alone when absent"),
  addresses: z
    .array(EgressRange)
    .min(1)
    .max(20)
    .optional()
    .describe(
      "Makes this an internal target: its addresses must all lie in these ranges, which may be private ones",
    ),
  tls: z
    .enum(["blind", "open"])
    .optional()
    .describe(
      "Whether TLS passes unread (blind, the default) or is opened with the machine's own CA; methods and paths need open",
    ),
  methods: z
    .array(z.string().regex(/^[A-Z]{3,20}$/))
    .min(1)
    .max(20)
    .optional()
    .describe("HTTP methods that are allowed; all when absent"),
  paths: z
    .array(
      z
        .string()
        .max(1000)
        .regex(/^\/[\u0021-\u007e]*$/),
    )
    .min(1)
    .max(100)
    .optional()
    .describe("Prefixes of the path that are allowed; all when absent"),
  maxMiB: z
    .int()
    .min(1)
    .max(1_048_576)
    .optional()
    .describe(
      "Most that one connection may move in both directions together, in MiB; 65,536 (64 GiB) when absent",
    ),
  ca: z
    .string()
    .max(4096)
    .regex(/^(?:~|\/)[^\u0000-\u001f\u007f]*$/)
    .optional()
    .describe("PEM file on the host with further authorities that the bridge trusts for this host"),
});
export type EgressRule = z.infer<typeof EgressRule>;

/** What the machines of a profile, or all machines, may reach; nothing by default. */
export const EgressSpec = z.strictObject({
  presets: z.array(EgressPreset).max(20).describe("Named sets of hosts"),
  allow: z.array(EgressRule).max(500).describe("Hosts"),
  deny: z.array(EgressHost).max(500).describe("Hosts that stay refused, whatever allows them"),
  askSeconds: z
    .int()
    .min(0)
    .max(300)
    .describe("How long a connection to a host that no rule names waits for the operator; 0 refuses at once"),
});
export type EgressSpec = z.infer<typeof EgressSpec>;

/** The egress of a profile that says nothing of it: none. */
export const DEFAULT_EGRESS: EgressSpec = { presets: [], allow: [], deny: [], askSeconds: 0 };
