import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * Adds a grant's token to what passes, for clients that can send none. It changes nothing else: Host and Origin go
 * through as they come, but that Host names the gateway's port where the client named the shim's.
 */
export class TokenShim implements AsyncDisposable {
  readonly #server: Server;
  #target: { readonly url: URL; readonly token: string } | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Where it listens, as browsers name it. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Address of the door behind it. */
  get url(): string {
    return this.origin + (this.#target?.url.pathname ?? "/");
  }

  /** Says what it stands in front of, and whose token it adds. */
  aim(url: string, token: string): void {
    this.#target = { url: new URL(url), token };
  }

  /** Listens on loopback. */
  static async open(): Promise<TokenShim> {
    const server = createServer((incoming, answer) => {
      const { url, token } = shim.#target!;
      const { port } = url;
      const own = String((server.address() as AddressInfo).port);
      const { host = "", ...headers } = incoming.headers;
      const outgoing = request(
        {
          host: "127.0.0.1",
          port,
          method: incoming.method,
          path: incoming.url,
          headers: {
            ...headers,
            host: host.replace(`:${own}`, `:${port}`),
            authorization: `Bearer ${token}`,
          },
        },
        (response) => {
          answer.writeHead(response.statusCode ?? 502, response.headers);
          response.pipe(answer);
          response.on("error", () => answer.destroy());
        },
      );
      outgoing.on("error", () => answer.destroy());
      answer.on("close", () => outgoing.destroy());
      incoming.pipe(outgoing);
    });
    const shim = new TokenShim(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return shim;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
