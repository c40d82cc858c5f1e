import * as z from "zod";

/** `sha256:` and 64 lower-case hex digits. */
export const Sha256 = z
  .string()
  .regex(/^sha256:[a-f0-9]{64}$/)
  .describe("SHA-256 digest, as sha256: and 64 lower-case hex digits");

/** RFC 3339 time in UTC with milliseconds. */
export const Timestamp = z.iso.datetime().describe("RFC 3339 time in UTC");

/** Name of a machine: a DNS label of at most 40 characters. */
export const MachineName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/)
  .describe("Name of a machine: lower-case letters, digits and inner hyphens, at most 40 characters");

/** Id of a machine. */
export const MachineId = z
  .string()
  .regex(/^m_[a-z0-9]{10,32}$/)
  .describe("Id of a machine");

/** Id of a grant. */
export const GrantId = z
  .string()
  .regex(/^g_[a-z0-9]{10,32}$/)
  .describe("Id of a grant");

/** Id of one attached or executed session. */
export const SessionId = z
  .string()
  .regex(/^s_[a-z0-9]{10,32}$/)
  .describe("Id of a session at a door");

/** Who asks: `operator:<name>`, `agent:<tool>:<session>`, `plugin:<id>` or `ci:<name>`. */
export const Subject = z
  .string()
  .max(200)
  .regex(
    /^(?:operator:[A-Za-z0-9._@-]{1,64}|agent:[a-z0-9-]{1,40}:[A-Za-z0-9._-]{1,120}|plugin:[A-Za-z0-9._-]{1,120}|ci:[A-Za-z0-9._-]{1,120})$/,
  )
  .describe("Who asks: operator:<name>, agent:<tool>:<session>, plugin:<id> or ci:<name>");
export type Subject = z.infer<typeof Subject>;

/**
 * An absolute path on the host, resolved: no control characters, no `.` and `..`. On Windows a drive's letter, and none
 * of what Windows drops or reads otherwise: names that end in a dot or a space, streams, device and network paths.
 */
export const HostPath = z
  .string()
  .max(4096)
  .regex(
    /^(?:\/(?!(?:[^\u0000-\u001f\u007f]*\/)?\.{1,2}(?:\/|$))[^\u0000-\u001f\u007f]*|[A-Za-z]:[\\/](?![^\u0000-\u001f\u007f]*[. ](?:[\\/]|$))[^\u0000-\u001f\u007f<>:"|?*]*)$/,
  )
  .describe("Absolute, resolved path on the host");

/** An absolute path inside a machine. */
export const MachinePath = z
  .string()
  .max(4096)
  .regex(/^\/[^\u0000-\u001f\u007f]*$/)
  .describe("Absolute path inside the machine");

/** A length of time: a number and `s`, `m`, `h` or `d`. */
export const Duration = z
  .string()
  .regex(/^[1-9][0-9]{0,5}[smhd]$/)
  .describe("Length of time: a number and s, m, h or d, e.g. 8h");

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of a {@link Duration}. */
export function durationSeconds(duration: string): number {
  const unit = unitSeconds[duration.slice(-1)];
  const amount = Number(duration.slice(0, -1));
  if (unit === undefined || !Number.isSafeInteger(amount) || amount < 1) {
    throw new RangeError(`Cannot read duration: "${duration}" is not a number and s, m, h or d`);
  }
  return amount * unit;
}
