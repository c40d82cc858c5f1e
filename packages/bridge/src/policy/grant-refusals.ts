import { DenialError, type Operation } from "@doorward/contracts";
import type { GrantAsk } from "./grant-rules.ts";

/** The refusal of an operation that the profile's terminals leave to the operator. */
export function operatorsOnly(ask: GrantAsk, operation: Operation, file: string): DenialError {
  return new DenialError({
    code: "POLICY_DENIED",
    message: `Cannot grant "${operation}" to "${ask.subject}": at terminals of the profile "${ask.profile}" it is the operator's alone`,
    rule: "profile.doors.terminal.attach.agents",
    hint: `Leave it out, or change profiles.${ask.profile}.doors.terminal.attach.agents in ${file}`,
  });
}

/** The refusal of an operation that the door does not offer, or its interface profile does not allow. */
export function notOffered(ask: GrantAsk, missing: Operation, rule: string, file: string): DenialError {
  const byProfile = rule.startsWith("policy.");
  const doors = ask.doors.join(", ");
  return new DenialError({
    code: "POLICY_DENIED",
    message: byProfile
      ? `Cannot grant "${missing}": the profile "${ask.profile}" does not offer it at ${doors}`
      : `Cannot grant "${missing}": the interface profile of "${ask.profile}" does not allow it at ${doors}`,
    rule,
    hint: byProfile
      ? `Change profiles.${ask.profile}.doors in ${file}`
      : `doorward contracts show SecureHostInterfaceProfile ${ask.profile}`,
  });
}
