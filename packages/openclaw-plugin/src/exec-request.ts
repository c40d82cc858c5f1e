import * as z from "zod";

/** Variable that hands a request to the program that OpenClaw's exec spawns; other users of the host can't read it. */
export const EXEC_REQUEST_VARIABLE = "DOORWARD_OPENCLAW_EXEC";

/** What the program that OpenClaw's exec spawns is to run, and where. */
export const ExecRequest = z.strictObject({
  url: z.string(),
  token: z.string(),
  machine: z.string(),
  argv: z.array(z.string()),
  cwd: z.string(),
  env: z.record(z.string(), z.string()),
});
export type ExecRequest = z.infer<typeof ExecRequest>;
