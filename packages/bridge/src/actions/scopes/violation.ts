import type { ScopeViolation } from "@doorward/contracts";
import { ActionError } from "../action-error.ts";

const TEXT_LIMIT = 1000;

/** The refusal of a command that lies outside its scope; texts of the request are cut to what the contract holds. */
export function outsideScope(doing: string, violation: ScopeViolation): ActionError {
  const { argument, argumentPath, ...plain } = violation;
  const scopeViolation: ScopeViolation = {
    ...plain,
    message: plain.message.slice(0, TEXT_LIMIT),
    ...(argument === undefined ? {} : { argument: argument.slice(0, TEXT_LIMIT) }),
    ...(argumentPath === undefined ? {} : { argumentPath: argumentPath.slice(0, 4096) }),
  };
  const message = `${doing}: ${scopeViolation.message}`.slice(0, 4000);
  return new ActionError({ code: "SCOPE_VIOLATION", message, scopeViolation });
}

/** A text of a request as a message shows it: quoted, control characters escaped, cut. */
export function quoted(text: string): string {
  const shown = text.length > 120 ? `${text.slice(0, 120)}…` : text;
  return JSON.stringify(shown).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
