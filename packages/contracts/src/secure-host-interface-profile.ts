import * as z from "zod";
import { AgentMachineProfileRef, DefaultDecision, documentHead, urnOf } from "./document-head.ts";
import { ContractOperation, InterfaceKind } from "./operations.ts";

/** How one kind of host interface may reach machines of one profile. */
export const SecureHostInterfaceProfile = z
  .strictObject({
    ...documentHead("SecureHostInterfaceProfile", "secure-host-interface", "secure-host-interface-profile"),
    name: z.string().min(1).max(80).describe("Name for people"),
    hostAdapter: z.enum(["macos", "windows", "linux", "cluster-linux"]).describe("Host OS adapter"),
    interfaceKind: InterfaceKind,
    agentMachineProfileRef: AgentMachineProfileRef,
    doorRef: urnOf("terminal-door", "browser-door", "editor-door", "agent-tool-door").describe(
      "URN of the door it opens",
    ),
    transportMode: z
      .enum(["unix-socket", "loopback-websocket", "loopback-http", "named-pipe", "native-messaging", "stdio"])
      .describe(
        "How clients reach the door: the bridge's own socket only, loopback WebSockets or HTTP too, a Windows pipe, a browser's native messaging, or a client's standard streams",
      ),
    allowedOperations: z
      .array(ContractOperation)
      .min(1)
      .max(64)
      .describe("Operations that grants may hold at this interface"),
    denialBehavior: z
      .strictObject({
        defaultDecision: DefaultDecision.extract(["deny", "ask"]).describe(
          "What is not allowed is denied, or put before the operator; never permitted",
        ),
        onExpiry: z.literal("close").describe("Open sockets are closed when the grant ends"),
        onRevocation: z
          .literal("close")
          .default("close")
          .describe("Open sockets are closed when the grant is revoked"),
        recordDenials: z
          .literal(true)
          .describe(
            "Every denial of a known subject leaves a record; of more than a rate in a minute, one that counts them",
          ),
      })
      .describe("What happens to what is not allowed"),
    evidenceRequirements: z
      .strictObject({
        launch: z
          .literal("fingerprint-and-record")
          .default("fingerprint-and-record")
          .describe(
            "The machine's AgentMachineFingerprint is taken, and its launch record durable, before a door opens",
          ),
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
