import * as z from "zod";

/** What every answer about a command says. */
export const commandFields = {
  state: z
    .enum(["running", "exited", "signalled", "stopped", "timed-out", "lost"])
    .describe("How it stands; stopped and timed-out were killed, lost ended with its machine"),
  exit_code: z.int().nullable().describe("Exit code; null when it runs or was killed"),
  signal: z.string().nullable().describe("Signal that killed it, e.g. SIGTERM"),
};

/** Output in order of arrival. */
export const outputField = z
  .array(
    z.strictObject({
      stream: z.enum(["stdout", "stderr", "mixed"]).describe("Where it was written"),
      text: z.string().describe("Text, without escape sequences"),
    }),
  )
  .describe("What it wrote, in order of arrival");

export const CommandId = z
  .string()
  .max(20)
  .regex(/^c[0-9]+$/)
  .describe("Id that run_command gave");
