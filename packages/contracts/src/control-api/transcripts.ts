import * as z from "zod";
import { RecordMachine, Reference } from "../evidence/common.ts";
import { GrantId, SessionId, Subject, Timestamp } from "../text.ts";
import { TerminalId } from "../wire/common.ts";
import { route } from "./route.ts";

/** A transcript of one session at a terminal. */
export const TranscriptView = z.strictObject({
  id: SessionId,
  machine: RecordMachine,
  subject: Subject,
  execution: z.enum(["operator", "agent"]).describe("Whether a person or an agent was in the session"),
  grant: GrantId,
  terminal: TerminalId,
  state: z
    .enum(["recording", "kept"])
    .describe("recording: the session goes on; kept: it ended, and its record names the digest"),
  startedAt: Timestamp.describe("When recording began"),
  endedAt: Timestamp.nullable().describe("When it ended; null while it goes on"),
  deleteAt: Timestamp.nullable().describe("When the file is deleted; null while it is written"),
  path: z.string().max(4096).describe("Its file on the host"),
  reference: Reference.nullable().describe("As its evidence record names it; null while it is written"),
});
export type TranscriptView = z.infer<typeof TranscriptView>;

/** Routes of transcripts; their files are read by the command itself. */
export const TRANSCRIPT_ROUTES = {
  "transcripts.list": route({
    method: "GET",
    path: "/v1/transcripts",
    access: "operator",
    summary: "Transcripts of terminal sessions, oldest first",
    query: z.strictObject({ machine: z.string().max(60).optional().describe("Only those of this machine") }),
    result: z.strictObject({ transcripts: z.array(TranscriptView) }),
  }),
  "transcripts.show": route({
    method: "GET",
    path: "/v1/transcripts/{transcript}",
    access: "operator",
    summary: "One transcript, and where its file is",
    params: z.strictObject({ transcript: SessionId }),
    result: TranscriptView,
  }),
} as const;
