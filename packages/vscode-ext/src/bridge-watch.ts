import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect, type DoorwardClient } from "@doorward/client";
import { checkRuntime, resolveFolders } from "@doorward/client/operator";
import { DoorwardError, toDoorwardError, type PendingApproval } from "@doorward/contracts";

/** What is known of the bridge: what waits there, or why that is not known. */
export type BridgeState =
  | { readonly kind: "watching"; readonly approvals: readonly PendingApproval[] }
  | { readonly kind: "absent" | "refused"; readonly error: DoorwardError };

/** A decision of the person at the editor. */
export type Decision =
  | { readonly kind: "approve"; readonly digest: string; readonly time: string | null }
  | { readonly kind: "deny" };

type Environment = Readonly<Record<string, string | undefined>>;

const RETRY_MS = 2000;

/** Watches what waits at the bridge of this user, on the bridge's own socket, until disposed; finds a bridge that comes later. */
export class BridgeWatch implements AsyncDisposable {
  readonly #env: Environment;
  readonly #listeners = new Set<(state: BridgeState) => void>();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #state: BridgeState;

  constructor(env: Environment) {
    this.#env = env;
    const message = "Cannot tell what waits: the bridge was not asked yet";
    this.#state = { kind: "absent", error: new DoorwardError({ code: "BRIDGE_UNREACHABLE", message }) };
    this.#running = this.#run();
  }

  get state(): BridgeState {
    return this.#state;
  }

  /** What waits under an id; undefined when nothing does. */
  pending(id: string): PendingApproval | undefined {
    return this.#state.kind === "watching" ? this.#state.approvals.find((each) => each.id === id) : undefined;
  }

  /** Calls back with each new state, until disposed. */
  onState(listener: (state: BridgeState) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Decides, as the operator, and says that it was in an editor. */
  async decide(approval: string, decision: Decision): Promise<void> {
    await using client = operatorClient(this.#env);
    const params = { approval };
    const signal = this.#closing.signal;
    if (decision.kind === "deny") {
      await client.call("approvals.deny", { params, body: { where: "editor" } }, { signal });
      return;
    }
    const { digest, time } = decision;
    const body = { digest, where: "editor", ...(time === null ? {} : { for: time }) } as const;
    await client.call("approvals.approve", { params, body }, { signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#watch(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#set(failed(toDoorwardError(error)));
      });
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    await using client = operatorClient(this.#env);
    const onEvent = ({ approvals }: { approvals: readonly PendingApproval[] }): void =>
      this.#set({ kind: "watching", approvals });
    await client.call("approvals.watch", {}, { signal, onEvent });
  }

  #set(state: BridgeState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

/** The operator's client; an editor that was started for a grant's holder decides nothing, as with the command. */
function operatorClient(env: Environment): DoorwardClient {
  if ((env["DOORWARD_TOKEN"] ?? "") !== "")
    throw new DoorwardError({
      code: "OPERATOR_ONLY",
      message: "Cannot decide anything here: DOORWARD_TOKEN is set, so this editor acts for a grant",
      hint: "unset DOORWARD_TOKEN; code .",
    });
  const folders = resolveFolders(env);
  checkRuntime(folders);
  return connect({ socketPath: join(folders.runtime, "bridge.sock") });
}

function failed(error: DoorwardError): BridgeState {
  return { kind: error.code === "BRIDGE_UNREACHABLE" ? "absent" : "refused", error };
}
