import type { DoorwardClient, McpConnection } from "@doorward/client";
import { DoorwardError, toDoorwardError, type ErrorCode } from "@doorward/contracts";

/** A way to a machine's agent-tool door that outlives single connections. */
export interface Access extends AsyncDisposable {
  /** Connects; rejects with why that is not possible. */
  open(signal: AbortSignal): Promise<McpConnection>;
  /** What an error of a connection means for this way: try again soon, not now, or never again. */
  judge(error: DoorwardError): Verdict;
}

/** `again` passes by itself, `refused` when somebody changes something, `over` never. */
export type Verdict = "again" | "refused" | "over";

/** A bridge that restarts, or is briefly too busy. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "BRIDGE_UNREACHABLE",
  "BRIDGE_STARTING",
  "BRIDGE_STOPPING",
  "GUEST_UNREACHABLE",
  "MACHINE_BUSY",
  "RATE_LIMITED",
  "TIMED_OUT",
  "ABORTED",
]);

/** A grant that was given to this command: nothing else is used, and nobody renews it here. */
export class GivenAccess implements Access {
  readonly #client: () => Promise<DoorwardClient>;
  readonly #machine: (client: DoorwardClient) => Promise<string>;

  constructor(client: () => Promise<DoorwardClient>, machine: (client: DoorwardClient) => Promise<string>) {
    this.#client = once(client);
    this.#machine = once(machine);
  }

  async open(signal: AbortSignal): Promise<McpConnection> {
    const client = await this.#client();
    try {
      return await client.openMcp(await this.#machine(client), { signal, clientKind: "stdio" });
    } catch (cause) {
      throw withNextStep(toDoorwardError(cause));
    }
  }

  judge(error: DoorwardError): Verdict {
    if (error.entry.status === 401) return "over";
    return PASSING.has(error.code) ? "again" : "refused";
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** Calls a function until it succeeded once, and answers what it gave then. */
export function once<Args extends readonly unknown[], T>(
  make: (...args: Args) => Promise<T>,
): (...args: Args) => Promise<T> {
  let made: { readonly value: T } | undefined;
  return async (...args) => (made ??= { value: await make(...args) }).value;
}

/** Whether an error passes by itself. */
export function passes(error: DoorwardError): boolean {
  return PASSING.has(error.code);
}

/** A given grant that is over is the operator's to replace; this command renews none that it did not mint. */
function withNextStep(error: DoorwardError): DoorwardError {
  if (error.code !== "GRANT_EXPIRED") return error;
  const { code, details } = error;
  return new DoorwardError({
    code,
    message: `${error.message}; a grant that was given in DOORWARD_TOKEN is not renewed here`,
    hint: "doorward grant renew GRANT --for 8h, before it expires",
    details,
    cause: error,
  });
}
