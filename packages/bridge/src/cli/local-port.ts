import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { toDoorwardError, type DoorwardError } from "@doorward/contracts";

/** What a local port needs. */
export interface LocalPortOptions {
  readonly port: number;
  /** Loopback addresses to listen on; a host may lack IPv6, which is no fault. */
  readonly addresses: readonly string[];
  /** Connects to the far side. */
  readonly dial: () => Promise<Duplex>;
  /** Told of each connection that fails. */
  readonly tell: (error: DoorwardError) => void;
  /** The error for a port that can't be listened on. */
  readonly taken: () => Promise<DoorwardError>;
}

/** A port of this host's loopback whose connections are carried to a far side, one by one. */
export class LocalPort implements AsyncDisposable {
  readonly #options: LocalPortOptions;
  readonly #servers: Server[] = [];
  readonly #open = new Set<Duplex>();

  /** Listens on every address; throws what `taken` makes where one is in use. */
  static async open(options: LocalPortOptions): Promise<LocalPort> {
    const local = new LocalPort(options);
    try {
      for (const address of options.addresses) await local.#listen(address);
      if (local.#servers.length === 0) throw await options.taken();
      return local;
    } catch (error) {
      await local[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(options: LocalPortOptions) {
    this.#options = options;
  }

  /** Stops listening and cuts what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    const servers = this.#servers.splice(0);
    const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const stream of this.#open) stream.destroy();
    await Promise.all(closed);
  }

  async #listen(address: string): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
      void this.#carry(socket);
    });
    server.listen({ port: this.#options.port, host: address, ipv6Only: true });
    try {
      await once(server, "listening");
      this.#servers.push(server);
    } catch (error) {
      if (!lacksAddress(error)) throw await this.#options.taken();
    }
  }

  async #carry(near: Socket): Promise<void> {
    near.on("error", () => undefined);
    this.#keep(near);
    try {
      const far = await this.#options.dial();
      this.#keep(far);
      if (near.destroyed) far.destroy();
      else join(near, far, (error) => this.#options.tell(error));
    } catch (error) {
      reset(near);
      this.#options.tell(toDoorwardError(error));
    }
  }

  #keep(stream: Duplex): void {
    this.#open.add(stream);
    stream.once("close", () => this.#open.delete(stream));
  }
}

/** A port of the loopback that is free now. */
export async function freeLocalPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

function join(near: Socket, far: Duplex, tell: (error: DoorwardError) => void): void {
  near.pipe(far);
  far.pipe(near);
  far.once("error", (error) => tell(toDoorwardError(error)));
  far.once("close", () => {
    if (!far.readableEnded) reset(near);
  });
  near.once("close", (failed) => {
    if (failed || !near.readableEnded) far.destroy();
  });
}

/** A reset, so that nobody takes a cut connection for a finished one. */
function reset(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}

function lacksAddress(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && /^(?:EADDRNOTAVAIL|EAFNOSUPPORT)$/.test(String(error.code))
  );
}
