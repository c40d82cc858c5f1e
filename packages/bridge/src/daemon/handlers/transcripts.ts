import type { Handlers } from "../../gateway/index.ts";
import type { Transcripts } from "../../transcripts/index.ts";

type TranscriptHandlers = Pick<Handlers, Extract<keyof Handlers, `transcripts.${string}`>>;

/** Handlers of transcript routes. */
export function transcriptHandlers(transcripts: Transcripts): TranscriptHandlers {
  return {
    "transcripts.list": ({ query }) => Promise.resolve({ transcripts: transcripts.list(query.machine) }),
    "transcripts.show": ({ params }) => Promise.resolve().then(() => transcripts.show(params.transcript)),
  };
}
