import * as z from "zod";

/** Descriptors that the supervisor gets beside its three streams. */
export const SUPERVISOR_FD = { control: 3, program: 4, cwd: 5 } as const;

/** What the bridge tells the supervisor: what to start, then perhaps to end it kindly. */
export const ToSupervisor = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("start"),
    argv0: z.string(),
    args: z.array(z.string()),
    env: z.record(z.string(), z.string()),
    cgroups: z.array(z.string()),
  }),
  z.strictObject({ type: z.literal("terminate") }),
]);
export type ToSupervisor = z.infer<typeof ToSupervisor>;

/** What the supervisor answers; it stays until it is ended, for what the program left behind. */
export const FromSupervisor = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("failed"), code: z.string(), message: z.string() }),
  z.strictObject({ type: z.literal("exited"), code: z.int().nullable(), signal: z.string().nullable() }),
]);
export type FromSupervisor = z.infer<typeof FromSupervisor>;
