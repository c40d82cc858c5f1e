import * as z from "zod";
import { AgentMachineProfileSpec, MachineLimits } from "./agent-machine-profile.ts";
import { AgentToolDoorSpec } from "./agent-tool-door.ts";
import { EgressSpec } from "./egress.ts";
import { ActionCapability } from "./host-actions/capabilities.ts";
import { ActionPolicy } from "./host-actions/scopes.ts";
import { DoorName, Operation } from "./operations.ts";
import { TerminalDoorSpec } from "./terminal-door.ts";
import { Duration } from "./text.ts";

const PathText = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^(?:~|\/)[^\u0000-\u001f\u007f]*$/)
  .describe("Absolute path, or one that starts with ~");

/** A folder under which repos may be given to machines. */
export const PolicyRoot = z.strictObject({
  path: PathText,
  access: z.enum(["ro", "rw"]).describe("Highest access that repos under it may get"),
  profiles: z
    .array(z.string().max(80))
    .max(50)
    .optional()
    .describe("Profiles that may mount it; all when absent"),
});
export type PolicyRoot = z.infer<typeof PolicyRoot>;

/** Who may be granted what, and for how long. */
export const PolicyGrantRule = z.strictObject({
  to: z
    .string()
    .max(200)
    .regex(/^(?:operator|agent|plugin|ci):[A-Za-z0-9._:@-]*\*?$/)
    .describe("Subject, or the start of one followed by *"),
  doors: z.array(DoorName).min(1).max(8).describe("Doors"),
  operations: z.array(Operation).min(1).max(64).describe("Operations"),
  capabilities: z
    .array(ActionCapability)
    .max(64)
    .optional()
    .describe("Capabilities of host actions; none when absent"),
  for: Duration.describe("Longest time of one grant"),
  profiles: z
    .array(z.string().max(80))
    .max(50)
    .optional()
    .describe("Profiles whose machines it covers; all when absent"),
});
export type PolicyGrantRule = z.infer<typeof PolicyGrantRule>;

/** A profile as the policy file writes it: what is left out has the default profile's value. */
export const PolicyProfile = z.strictObject({
  ...AgentMachineProfileSpec.omit({
    image: true,
    limits: true,
    isolation: true,
    mounts: true,
    egress: true,
    doors: true,
  }).partial().shape,
  image: AgentMachineProfileSpec.shape.image.partial().optional().describe("Image of the machine"),
  limits: MachineLimits.partial().optional().describe("Resource limits"),
  isolation: AgentMachineProfileSpec.shape.isolation.partial().optional().describe("Isolation"),
  mounts: AgentMachineProfileSpec.shape.mounts.partial().optional().describe("Mounts"),
  egress: EgressSpec.partial().optional().describe("What its machines may reach"),
  doors: z
    .strictObject({
      terminal: TerminalDoorSpec.partial().optional().describe("Terminal door"),
      "agent-tool": AgentToolDoorSpec.partial()
        .extend({
          allowed: z
            .boolean()
            .optional()
            .describe("Whether the machine has the door at all; true when absent"),
        })
        .optional()
        .describe("Agent-tool door"),
    })
    .optional()
    .describe("Doors that the machine offers"),
});
export type PolicyProfile = z.infer<typeof PolicyProfile>;

/** The operator's policy file. */
export const Policy = z
  .strictObject({
    version: z.literal(1).describe("Version of the file's shape"),
    roots: z.array(PolicyRoot).max(200).describe("Folders under which repos may be given to machines"),
    deny: z.array(PathText).max(500).optional().describe("Paths denied on top of the built-in deny list"),
    protect: z
      .array(
        z
          .string()
          .min(1)
          .max(200)
          .regex(/^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))[^\u0000-\u001f\u007f]+$/),
      )
      .max(200)
      .optional()
      .describe(
        "Names inside writable repos that are mounted read-only on top of the built-in ones, relative to the repo",
      ),
    profiles: z
      .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/), PolicyProfile)
      .optional()
      .describe("Profiles by name; fields that are left out have the default profile's values"),
    grants: z
      .array(PolicyGrantRule)
      .max(200)
      .optional()
      .describe("Who may be granted what; the operator may always grant to himself"),
    egress: EgressSpec.partial().optional().describe("What the machines of every profile may reach"),
    actions: ActionPolicy.optional().describe("What of the host may be acted on; nothing when absent"),
    limits: z
      .strictObject({ machines: z.int().min(1).max(1000).optional().describe("Running machines at once") })
      .optional()
      .describe("Limits of this installation"),
    bridge: z
      .strictObject({
        tcp: z.boolean().optional().describe("Whether the bridge listens on loopback TCP for grant tokens"),
        port: z.int().min(1024).max(65_535).optional().describe("Port on 127.0.0.1"),
        hosts: z
          .array(z.string().max(253))
          .max(20)
          .optional()
          .describe("Host names accepted besides loopback"),
        origins: z.array(z.string().max(300)).max(20).optional().describe("Browser origins that may connect"),
      })
      .optional()
      .describe("How the bridge listens"),
  })
  .describe("What the operator allows: roots, denied paths, profiles, grants, egress and limits");
export type Policy = z.infer<typeof Policy>;
