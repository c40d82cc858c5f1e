import * as z from "zod";

/** How terminals may be attached, how commands may be run, and what is kept of them: the policy part of a TerminalDoor. */
export const TerminalDoorSpec = z.strictObject({
  attach: z
    .strictObject({
      allowed: z.boolean().describe("Whether terminals may be attached at all"),
      maxTerminals: z.int().min(1).max(256).describe("Terminals that a machine may have at once"),
      maxViewers: z
        .int()
        .min(1)
        .max(64)
        .describe("Viewers that a terminal may have at once, the controller included"),
      observers: z.boolean().describe("Whether read-only viewers are allowed"),
      scrollbackBytes: z
        .int()
        .min(4096)
        .max(16_777_216)
        .describe("Size of the scrollback ring of a terminal, in bytes"),
    })
    .describe("PTY attach policy"),
  execution: z
    .strictObject({
      operator: z.boolean().describe("Whether an operator's grant may run commands"),
      agent: z.boolean().describe("Whether an agent's grant may run commands"),
      maxConcurrent: z.int().min(1).max(1024).describe("Commands that may run at once in the machine"),
    })
    .describe("Command execution policy"),
  transcript: z
    .strictObject({
      capture: z.literal("off").describe("Transcript capture; off until redaction exists"),
      format: z.literal("asciicast-v3").describe("Format of a transcript"),
      maxBytes: z.int().min(4096).max(1_073_741_824).describe("Byte cap of one transcript"),
    })
    .describe("Transcript capture"),
  redaction: z
    .strictObject({
      mode: z.enum(["required-before-capture"]).describe("Nothing is captured that was not redacted"),
    })
    .describe("Redaction policy"),
});
export type TerminalDoorSpec = z.infer<typeof TerminalDoorSpec>;

/** The terminal door of a profile, as a document of its own. */
export const TerminalDoor = z
  .strictObject({
    id: z
      .string()
      .max(300)
      .regex(/^urn:srcos:terminal-door:[A-Za-z0-9._~-]+$/)
      .describe("URN of this door"),
    type: z.literal("TerminalDoor").describe("Type of the document"),
    specVersion: z.literal("0.1.0").describe("Version of the contract"),
    name: z.string().min(1).max(80).describe("Name for people"),
    agentMachineProfileRef: z
      .string()
      .max(300)
      .regex(/^urn:srcos:agent-machine-profile:[A-Za-z0-9._~-]+$/)
      .describe("URN of the profile that offers it"),
    ...TerminalDoorSpec.shape,
  })
  .describe(
    "Terminal door of an agent machine: PTY attach, command execution, transcript capture and redaction",
  );
export type TerminalDoor = z.infer<typeof TerminalDoor>;

/** The terminal door of a profile that says nothing of it. */
export const DEFAULT_TERMINAL_DOOR: TerminalDoorSpec = {
  attach: { allowed: true, maxTerminals: 32, maxViewers: 16, observers: true, scrollbackBytes: 2_097_152 },
  execution: { operator: true, agent: true, maxConcurrent: 256 },
  transcript: { capture: "off", format: "asciicast-v3", maxBytes: 67_108_864 },
  redaction: { mode: "required-before-capture" },
};
