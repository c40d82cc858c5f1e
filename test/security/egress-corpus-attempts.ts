import type { Attempt } from "./egress-corpus-attempt.ts";
import { requestAttempts } from "./egress-corpus-requests.ts";
import { tunnelAttempts } from "./egress-corpus-tunnels.ts";

/** Every attempt; `canary` is the port on loopback that must stay untouched. */
export function attempts(canary: number): Attempt[] {
  return [...requestAttempts(canary), ...tunnelAttempts(canary)];
}
