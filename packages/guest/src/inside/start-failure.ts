import { getSystemErrorMap } from "node:util";
import type { StreamFailed } from "../protocol.ts";

/** Why a program was not started. */
export interface StartFailure {
  readonly code: Extract<StreamFailed["code"], "COMMAND_NOT_FOUND" | "PROCESS_LIMIT" | "INPUT_INVALID">;
  readonly why: string;
}

const LIMIT = "PROCESS_LIMIT";

/** What the kernel's errors mean for a program that was found a moment before. */
const MEANINGS: ReadonlyMap<string, StartFailure> = new Map([
  ["EAGAIN", { code: LIMIT, why: "the machine has as many processes as it may" }],
  ["ENOMEM", { code: LIMIT, why: "the machine has no memory left for another process" }],
  ["EMFILE", { code: LIMIT, why: "the machine has as many open files as it may" }],
  ["ENFILE", { code: LIMIT, why: "the machine has as many open files as it may" }],
  ["E2BIG", { code: "INPUT_INVALID", why: "its arguments and variables are too long together" }],
  ["EACCES", { code: "COMMAND_NOT_FOUND", why: "the machine's user may not run it" }],
  ["ENOENT", { code: "COMMAND_NOT_FOUND", why: "it, or the interpreter that it names, is not there" }],
]);

/** An error of the kernel by its name, e.g. `EAGAIN`, so that its meaning is known further up. */
export class KernelError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "KernelError";
    this.code = code;
  }

  /** The error for a number that a call of the C library answered. */
  static of(errno: number, doing: string): KernelError {
    const [name = String(errno), words = ""] = getSystemErrorMap().get(-errno) ?? [];
    return new KernelError(name, `${doing}: ${name}: ${words}`);
  }
}

/** What the system's refusal to start a program means; an unknown one is told in its own words. */
export function startFailure(thrown: unknown): StartFailure {
  const name = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return MEANINGS.get(name) ?? { code: "COMMAND_NOT_FOUND", why };
}
