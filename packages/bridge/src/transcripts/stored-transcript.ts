import { Reference, SessionId, TerminalId, Timestamp } from "@doorward/contracts";
import * as z from "zod";

/** What the store knows of a transcript, from before its first byte until it is deleted. */
export const StoredTranscript = z.strictObject({
  session: SessionId,
  correlationId: z.string(),
  subject: z.string(),
  execution: z.enum(["operator", "agent"]),
  grant: z.string(),
  machine: z.strictObject({ id: z.string(), name: z.string() }),
  door: z.string(),
  terminal: TerminalId,
  startedAt: Timestamp,
  endedAt: Timestamp.nullable(),
  deleteAt: Timestamp.nullable(),
  retentionSeconds: z.int().min(0),
  reference: Reference.nullable(),
  /** Whether the record of the session's end is on disk. */
  recorded: z.boolean(),
});
export type StoredTranscript = z.infer<typeof StoredTranscript>;
