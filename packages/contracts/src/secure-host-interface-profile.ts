import * as z from "zod";
import { InterfaceKind, Operation } from "./operations.ts";

/** How one kind of host interface may reach machines of one profile. */
export const SecureHostInterfaceProfile = z
  .strictObject({
    id: z
      .string()
      .max(300)
      .regex(/^urn:srcos:secure-host-interface(?:-profile)?:[A-Za-z0-9._~-]+$/)
      .describe("URN of this interface profile"),
    type: z.literal("SecureHostInterfaceProfile").describe("Type of the document"),
    specVersion: z.literal("0.1.0").describe("Version of the contract"),
    name: z.string().min(1).max(80).describe("Name for people"),
    hostAdapter: z.enum(["macos", "windows", "linux", "cluster-linux"]).describe("Host OS adapter"),
    interfaceKind: InterfaceKind,
    agentMachineProfileRef: z
      .string()
      .max(300)
      .regex(/^urn:srcos:agent-machine-profile:[A-Za-z0-9._~-]+$/)
      .describe("URN of the machine profile it targets"),
    doorRef: z
      .string()
      .max(300)
      .regex(/^urn:srcos:(?:terminal|browser|editor|agent-tool)-door:[A-Za-z0-9._~-]+$/)
      .describe("URN of the door it opens"),
    transportMode: z
      .enum(["unix-socket", "loopback-websocket"])
      .describe("How clients reach the door: the bridge's own socket only, or loopback WebSockets too"),
    allowedOperations: z
      .array(Operation)
      .min(1)
      .max(64)
      .describe("Operations that grants may hold at this interface"),
    denialBehavior: z
      .strictObject({
        defaultDecision: z.literal("deny").describe("What is not allowed is denied"),
        onExpiry: z.literal("close").describe("Open sockets are closed when the grant ends"),
        recordDenials: z.literal(true).describe("Every denial of a known subject leaves a record"),
      })
      .describe("What happens to what is not allowed"),
    evidenceRequirements: z
      .strictObject({
        sessionOpen: z
          .literal("durable-before-open")
          .describe("The record of an opened session is durable before the first byte"),
        sessionClose: z.literal(true).describe("The end of a session is recorded"),
        commands: z.boolean().describe("Commands are recorded, as digests"),
      })
      .describe("Which records an interface leaves"),
  })
  .describe(
    "Host adapter, interface kind, target profile, transport, allowed operations, denial behaviour and evidence of one host interface",
  );
export type SecureHostInterfaceProfile = z.infer<typeof SecureHostInterfaceProfile>;
