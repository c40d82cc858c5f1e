import { ERRORS } from "../src/errors.ts";

/** The catalogue of error codes as a page of Markdown. */
export function errorPage(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, exit, close, when }]) => `| \`${code}\` | ${when} | ${status} | ${exit} | ${close} |`,
  );
  return [
    "# Error codes",
    "",
    "Every error has a stable code, a message that says what happened to what, and often a hint with the command that",
    "mends it. The control API answers with `application/problem+json` (RFC 9457) and the code in `code`; a door closes",
    "its WebSocket with the close code and the error code as reason; the `doorward` command exits with the exit code",
    "(`exec`, `run` and `attach` exit with 125 when Doorward itself failed).",
    "",
    "This page is generated from `packages/contracts/src/errors.ts` by `npm run schemas`, and a test keeps them equal.",
    "",
    "| code | when | HTTP | exit | close |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}
