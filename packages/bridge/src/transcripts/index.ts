export { Transcripts, type TranscriptsOptions } from "./transcripts.ts";
