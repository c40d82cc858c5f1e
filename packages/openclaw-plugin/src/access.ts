import { readFile } from "node:fs/promises";
import { DoorwardError, toDoorwardError } from "@doorward/contracts";
import * as z from "zod";
import type { DoorwardCommand } from "./doorward-command.ts";

/** Where a machine's bridge is, and the token that opens its door. */
export interface Credentials {
  readonly url: string;
  readonly token: string;
}

/** Authority over one machine, out of the agent's sight. */
export interface Access extends AsyncDisposable {
  /** A token that is good now. */
  credentials(): Promise<Credentials>;
  /** Learns why a use was refused. */
  refused(error: DoorwardError): void;
}

const DEFAULT_URL = "http://127.0.0.1:7611";

/** A grant that somebody else mints and renews, in a file that is read at each use. */
export class FileAccess implements Access {
  readonly #file: string;
  readonly #url: string;

  constructor(file: string, url = DEFAULT_URL) {
    this.#file = file;
    this.#url = url;
  }

  async credentials(): Promise<Credentials> {
    const text = await readFile(this.#file, "utf8").catch((cause: unknown) => {
      throw new DoorwardError({
        code: "TOKEN_MISSING",
        message: `Cannot read the grant for the machine: ${cause instanceof Error ? cause.message : "unknown"}`,
        hint: "doorward grant create MACHINE --to agent:openclaw:main --op terminal.agent-exec --for 8h",
      });
    });
    return { url: this.#url, token: text.trim() };
  }

  /** The file may hold another grant the next time. */
  refused(): void {
    return undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** How long one minting or renewing lasts; whoever kills OpenClaw leaves the grant no longer than that. */
const LIFE = "1h";
const LIFE_MS = 60 * 60 * 1000;
const RENEW_MS = 20 * 60 * 1000;
const RETRY_MS = 30 * 1000;

// Only what is needed is read, so that the plugin goes with other versions of the command.
const BridgeAddress = z.looseObject({ socket: z.string() });
const Minted = z.looseObject({ token: z.string(), grant: z.looseObject({ grantId: z.string() }) });

interface Held {
  readonly id: string;
  readonly credentials: Credentials;
}

/**
 * A grant that is minted, renewed and revoked with the operator's command; its token stays in this process and in the
 * environment of the programs that exec spawns. One that ended because nobody renewed it (a suspended host) is
 * replaced; one that the operator revoked never is.
 */
export class MintedAccess implements Access {
  readonly #command: DoorwardCommand;
  readonly #machine: string;
  readonly #subject: string;
  #held: Promise<Held> | undefined;
  #until = 0;
  #timer: NodeJS.Timeout | undefined;
  #over: DoorwardError | undefined;

  constructor(command: DoorwardCommand, machine: string, subject: string) {
    this.#command = command;
    this.#machine = machine;
    this.#subject = subject;
  }

  async credentials(): Promise<Credentials> {
    if (this.#over !== undefined) throw this.#over;
    if (this.#until !== 0 && Date.now() >= this.#until) this.#forget();
    this.#held ??= this.#mint().catch((cause: unknown) => {
      this.#held = undefined;
      throw cause;
    });
    return (await this.#held).credentials;
  }

  /** Learns why a use was refused. */
  refused(error: DoorwardError): void {
    if (error.code === "GRANT_REVOKED") this.#end(revoked(this.#machine));
    else if (error.code === "GRANT_EXPIRED") this.#forget();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    const held = await this.#held?.catch(() => undefined);
    this.#held = undefined;
    // A bridge that is away can't be told; the grant then ends by itself.
    if (held !== undefined) await this.#command.run(["grant", "revoke", held.id]).catch(() => undefined);
  }

  async #mint(): Promise<Held> {
    const { socket } = BridgeAddress.parse(await this.#command.run(["bridge", "status"]));
    const about = ["--to", this.#subject, "--op", "terminal.agent-exec", "--for", LIFE];
    const minted = Minted.parse(await this.#command.run(["grant", "create", this.#machine, ...about]));
    this.#lives();
    return { id: minted.grant.grantId, credentials: { token: minted.token, url: `unix:${socket}` } };
  }

  #lives(): void {
    this.#until = Date.now() + LIFE_MS;
    this.#renewIn(RENEW_MS);
  }

  #renewIn(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#renew(), milliseconds).unref();
  }

  async #renew(): Promise<void> {
    try {
      const held = await this.#held;
      if (held === undefined) return;
      await this.#command.run(["grant", "renew", held.id, "--for", LIFE]);
      this.#lives();
    } catch (cause) {
      const error = toDoorwardError(cause);
      this.refused(error);
      if (this.#held !== undefined) this.#renewIn(RETRY_MS);
    }
  }

  #end(error: DoorwardError): void {
    this.#over = error;
    this.#forget();
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#held = undefined;
    this.#until = 0;
  }
}

function revoked(machine: string): DoorwardError {
  return new DoorwardError({
    code: "GRANT_REVOKED",
    message: `Cannot use machine "${machine}": the operator revoked OpenClaw's grant`,
    hint: "openclaw sandbox recreate, or restart the gateway, for a new one",
  });
}
