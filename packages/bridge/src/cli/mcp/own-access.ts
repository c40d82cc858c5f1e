import { randomBytes } from "node:crypto";
import { connect, type DoorwardClient, type McpConnection } from "@doorward/client";
import {
  DoorwardError,
  durationSeconds,
  toDoorwardError,
  type GrantRequest,
  type Operation,
  type ToolName,
} from "@doorward/contracts";
import { CLIENT_NAMES } from "../connect/client-names.ts";
import { once, passes, type Access, type Verdict } from "./access.ts";
import { DEFAULT_OPERATIONS, LONGEST_RULE, READ_OPERATIONS } from "./operations.ts";

/** What an agent's client is to be granted. */
export interface OwnGrant {
  /** Kind of agent, as in its subject `agent:<tool>:<session>`. */
  readonly tool: string;
  readonly operations: readonly Operation[];
  readonly tools?: readonly ToolName[] | undefined;
  readonly capabilities?: GrantRequest["capabilities"];
  /** How long one minting or renewing lasts; whoever kills this command leaves the grant no longer than that. */
  readonly time: string;
}

/** What minting takes. */
export interface OwnAccessParts {
  /** The operator's client of the bridge's own socket. */
  readonly operator: () => Promise<DoorwardClient>;
  readonly socket: string;
  readonly machine: (operator: DoorwardClient) => Promise<string>;
  readonly grant: OwnGrant;
  /** Told in one line of what goes wrong beside connections. */
  readonly note: (text: string) => void;
}

interface Held {
  readonly id: string;
  readonly machine: string;
  readonly holder: DoorwardClient;
}

/** Ending must not keep an agent's client waiting. */
const REVOKE_MS = 3000;
const RETRY_MS = 1000;

/**
 * A grant that this command mints, renews and revokes over the operator's socket. Its token is in this object's client
 * and nowhere else. A grant that ended because nobody could renew it (a suspended host, a bridge that was away) is
 * replaced; one that was revoked never is.
 */
export class OwnAccess implements Access {
  readonly #parts: OwnAccessParts;
  readonly #subject: string;
  readonly #operator: () => Promise<DoorwardClient>;
  readonly #machine: (operator: DoorwardClient) => Promise<string>;
  #held: Promise<Held> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor(parts: OwnAccessParts) {
    this.#parts = parts;
    this.#subject = `agent:${parts.grant.tool}:${randomBytes(5).toString("hex")}`;
    this.#operator = once(parts.operator);
    this.#machine = once(parts.machine);
  }

  async open(signal: AbortSignal): Promise<McpConnection> {
    try {
      return await this.#connect(signal);
    } catch (cause) {
      const error = toDoorwardError(cause);
      if (!isStale(error)) throw error;
      this.#forget();
      return await this.#connect(signal);
    }
  }

  judge(error: DoorwardError): Verdict {
    if (error.code === "GRANT_REVOKED") return "over";
    if (isStale(error)) {
      this.#forget();
      return "again";
    }
    return passes(error) ? "again" : "refused";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    clearTimeout(this.#timer);
    const held = await this.#held?.catch(() => undefined);
    if (held === undefined) return;
    const operator = await this.#operator();
    const body = { reason: "its client has ended" };
    const signal = AbortSignal.timeout(REVOKE_MS);
    // A bridge that is away can't be told; the grant then ends by itself, and nobody has its token.
    await operator
      .call("grants.revoke", { params: { grant: held.id }, body }, { signal })
      .catch(() => undefined);
  }

  async #connect(signal: AbortSignal): Promise<McpConnection> {
    this.#held ??= this.#mint(signal);
    const { holder, machine } = await this.#held.catch((cause: unknown) => {
      this.#held = undefined;
      throw cause;
    });
    return await holder.openMcp(machine, { signal, clientKind: "stdio" });
  }

  async #mint(signal: AbortSignal): Promise<Held> {
    const operator = await this.#operator();
    const machine = await this.#machine(operator);
    const { operations, tools, capabilities, time } = this.#parts.grant;
    const named = {
      ...(tools === undefined ? {} : { tools: [...tools] }),
      ...(capabilities === undefined ? {} : { capabilities: [...capabilities] }),
    };
    const body = { machine, subject: this.#subject, operations: [...operations], ...named, for: time };
    const minted = await operator
      .call("grants.create", { body }, { signal })
      .catch((cause: unknown) => Promise.reject(this.#forAnySession(toDoorwardError(cause), machine)));
    this.#renewIn((durationSeconds(time) * 1000) / 2);
    const holder = connect({ url: `unix:${this.#parts.socket}`, token: minted.token });
    return { id: minted.grant.grantId, machine, holder };
  }

  #renewIn(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (this.#disposed) return;
    this.#timer = setTimeout(() => void this.#renew(), milliseconds).unref();
  }

  async #renew(): Promise<void> {
    const life = durationSeconds(this.#parts.grant.time) * 1000;
    try {
      const held = await this.#held;
      if (held === undefined) return;
      const input = { params: { grant: held.id }, body: { for: this.#parts.grant.time } };
      await (await this.#operator()).call("grants.renew", input, { signal: AbortSignal.timeout(life / 4) });
      this.#renewIn(life / 2);
    } catch (cause) {
      const error = toDoorwardError(cause);
      // One that has ended is learnt of by its connection, or by the next.
      if (error.entry.status === 401 || error.code === "GRANT_NOT_FOUND") return;
      if (!passes(error)) this.#parts.note(`The grant could not be renewed: ${error.message}`);
      this.#renewIn(Math.min(RETRY_MS, life / 10));
    }
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#held = undefined;
  }

  /** A rule of the policy for this session alone would not help the next one. */
  #forAnySession(error: DoorwardError, machine: string): DoorwardError {
    const { code, message, details } = error;
    const hint =
      allowCommand(error, this.#parts.grant, machine) ??
      error.hint?.replace(this.#subject, `agent:${this.#parts.grant.tool}:*`);
    if (hint === undefined || hint === error.hint) return error;
    return new DoorwardError({ code, message, hint, details, cause: error });
  }
}

/** The command that adds the missing rule to the policy; undefined where none adds what is asked for. */
function allowCommand({ code }: DoorwardError, grant: OwnGrant, machine: string): string | undefined {
  if (code !== "POLICY_DENIED" && code !== "GRANT_TOO_WIDE") return undefined;
  const client = CLIENT_NAMES.find((name) => name === grant.tool);
  if (client === undefined || grant.tools !== undefined || grant.capabilities !== undefined) return undefined;
  if (durationSeconds(grant.time) > durationSeconds(LONGEST_RULE)) return undefined;
  const command = `doorward connect ${client} ${machine} --allow`;
  if (grant.operations.every((one) => READ_OPERATIONS.includes(one))) return `${command} --read-only`;
  return grant.operations.every((one) => DEFAULT_OPERATIONS.includes(one)) ? command : undefined;
}

/** Whether a grant is no more without anybody having revoked it. */
function isStale({ code }: DoorwardError): boolean {
  return code === "GRANT_EXPIRED" || code === "TOKEN_INVALID" || code === "GRANT_NOT_FOUND";
}
