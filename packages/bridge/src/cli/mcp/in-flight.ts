import { rpcKey, type RpcId, type RpcMessage } from "./json-rpc.ts";

/** The agent's client's own beginning of a session, which a new connection has to be told again. */
export interface Opening {
  readonly id: RpcId;
  readonly initialize: string;
  readonly initialized: string | undefined;
}

/**
 * What has been asked and not answered, in both directions, and how the session began. Revisions of MCP without
 * `initialize` have no beginning, and none is then repeated.
 */
export class InFlight {
  readonly #requests = new Map<string, RpcId>();
  readonly #asked = new Set<string>();
  #initialize: { readonly id: RpcId; readonly text: string; answered: boolean } | undefined;
  #initialized: string | undefined;

  /** Requests that wait for their answer. */
  get size(): number {
    return this.#requests.size;
  }

  /** Notes what the client sent; false for an answer to something that this connection never asked. */
  sent(message: RpcMessage, text: string): boolean {
    if (message.kind === "answer") return message.id !== null && this.#asked.delete(rpcKey(message.id));
    if (message.kind === "request") {
      this.#requests.set(rpcKey(message.id), message.id);
      if (message.method === "initialize") this.#initialize = { id: message.id, text, answered: false };
    } else if (message.method === "notifications/initialized") this.#initialized = text;
    return true;
  }

  /** Notes what the door sent. */
  received(message: RpcMessage): void {
    if (message.kind === "request") this.#asked.add(rpcKey(message.id));
    if (message.kind !== "answer" || message.id === null) return;
    this.#requests.delete(rpcKey(message.id));
    const began = this.#initialize;
    if (began === undefined || began.answered || began.id !== message.id) return;
    if (message.failed) this.#initialize = undefined;
    else began.answered = true;
  }

  /** What a new connection has to be told first; undefined when the session has not begun. */
  get opening(): Opening | undefined {
    const began = this.#initialize;
    if (began?.answered !== true) return undefined;
    return { id: began.id, initialize: began.text, initialized: this.#initialized };
  }

  /** Forgets the connection; answers the requests that it leaves without an answer. */
  lost(): readonly RpcId[] {
    const left = [...this.#requests.values()];
    this.#requests.clear();
    this.#asked.clear();
    if (this.#initialize?.answered === false) this.#initialize = undefined;
    return left;
  }
}
