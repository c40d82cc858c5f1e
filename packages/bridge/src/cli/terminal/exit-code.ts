import { constants } from "node:os";

/** Exit code of a program that ended by itself or by a signal, as shells count it. */
export function exitCodeOf(status: { readonly code: number | null; readonly signal: string | null }): number {
  if (status.signal === null) return status.code ?? 1;
  const numbers = new Map<string, number>(Object.entries(constants.signals));
  return 128 + (numbers.get(status.signal) ?? 0);
}
