import { readFileSync, statSync } from "node:fs";
import { DoorwardError } from "@doorward/contracts";

/** A grant's token from a file that only its owner reads, for programs that keep no secrets in their environment. */
export function readToken(path: string): string {
  try {
    if ((statSync(path).mode & 0o077) !== 0)
      throw unusable(path, "other users can read it", `chmod 600 ${path}`);
    const token = readFileSync(path, "utf8").trim();
    if (token === "") throw unusable(path, "it is empty");
    return token;
  } catch (cause) {
    if (cause instanceof DoorwardError) throw cause;
    throw unusable(path, cause instanceof Error ? cause.message : String(cause));
  }
}

function unusable(path: string, why: string, hint?: string): DoorwardError {
  return new DoorwardError({
    code: "KEY_INVALID",
    message: `Cannot read token file "${path}": ${why}`,
    hint,
  });
}
