import * as z from "zod";
import { AgentMachineProfileRef, documentHead } from "./document-head.ts";
import { Duration } from "./text.ts";

/**
 * Text that is redacted besides what the built-in rules find. A literal and a run of characters of one class: linear in
 * the length of the text, and decidable one character at a time, so that it holds across chunks.
 */
export const RedactionPattern = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,39}$/)
    .describe("Name of the rule, shown in place of what it redacts"),
  match: z
    .enum(["prefix", "key"])
    .describe(
      "prefix: the literal and the run right after it are redacted; key: the run after the literal, = or : and optional spaces and quotes",
    ),
  literal: z
    .string()
    .regex(/^[\u0021-\u007e]{3,100}$/)
    .describe("3 to 100 visible ASCII characters; case matters for a prefix, not for a key"),
  run: z
    .enum(["token", "base64", "hex", "digits", "word", "line"])
    .describe(
      "Characters of the run: token A-Za-z0-9_-, base64 A-Za-z0-9+/=_-, hex, digits, word up to white space or a quote, line up to its end",
    ),
  minLength: z.int().min(1).max(1024).default(8).describe("Shortest run that is redacted, in characters"),
});
export type RedactionPattern = z.infer<typeof RedactionPattern>;

/** How terminals may be attached, how commands may be run, and what is kept of them: the policy part of a TerminalDoor. */
export const TerminalDoorSpec = z.strictObject({
  attach: z
    .strictObject({
      allowed: z.boolean().describe("Whether terminals may be attached at all"),
      agents: z
        .enum(["deny", "observe", "control"])
        .default("observe")
        .describe(
          "Most that subjects other than the operator may do at terminals with a grant: nothing, watch, or type",
        ),
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
      logged: z.literal(true).default(true).describe("Every attach is recorded before its first byte"),
      distinguishable: z
        .literal(true)
        .default(true)
        .describe("Records name the subject and tell an operator's session from an agent's"),
    })
    .describe("PTY attach policy"),
  execution: z
    .strictObject({
      operator: z.boolean().describe("Whether an operator's grant may run commands"),
      agent: z.boolean().describe("Whether an agent's grant may run commands"),
      maxConcurrent: z.int().min(1).max(1024).describe("Commands that may run at once in the machine"),
      agentGovernance: z
        .literal("grant-and-record")
        .default("grant-and-record")
        .describe("An agent's command needs a grant of its own operation and leaves a record"),
    })
    .describe("Command execution policy"),
  transcript: z
    .strictObject({
      capture: z
        .enum(["off", "output"])
        .describe(
          "What is captured, after redaction: nothing, or what terminals print, with marks of who types. Keystrokes never are: those that are no secret are printed anyway",
        ),
      format: z.literal("asciicast-v3").describe("Format of a transcript"),
      maxBytes: z.int().min(4096).max(1_073_741_824).describe("Byte cap of one transcript"),
      retention: Duration.default("30d").describe(
        "Time after which a transcript is deleted; its record stays",
      ),
    })
    .describe("Transcript capture"),
  redaction: z
    .strictObject({
      mode: z.enum(["required-before-capture"]).describe("Nothing is captured that was not redacted"),
      builtIn: z.literal("on").default("on").describe("The built-in rules; they can't be turned off"),
      patterns: z
        .array(RedactionPattern)
        .max(50)
        .default([])
        .describe("The operator's patterns, on top of the built-in rules"),
    })
    .describe("Redaction policy"),
});
export type TerminalDoorSpec = z.infer<typeof TerminalDoorSpec>;

/** The terminal door of a profile, as a document of its own. */
export const TerminalDoor = z
  .strictObject({
    ...documentHead("TerminalDoor", "terminal-door"),
    name: z.string().min(1).max(80).describe("Name for people"),
    agentMachineProfileRef: AgentMachineProfileRef,
    ...TerminalDoorSpec.shape,
  })
  .describe(
    "Terminal door of an agent machine: PTY attach, command execution, transcript capture and redaction",
  );
export type TerminalDoor = z.infer<typeof TerminalDoor>;

/** The terminal door of a profile that says nothing of it. */
export const DEFAULT_TERMINAL_DOOR: TerminalDoorSpec = TerminalDoorSpec.parse({
  attach: { allowed: true, maxTerminals: 32, maxViewers: 16, observers: true, scrollbackBytes: 2_097_152 },
  execution: { operator: true, agent: true, maxConcurrent: 256 },
  transcript: { capture: "off", format: "asciicast-v3", maxBytes: 67_108_864 },
  redaction: { mode: "required-before-capture" },
});
