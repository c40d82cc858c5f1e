import type { Server } from "node:http";
import { DoorwardError } from "@doorward/contracts";

/** State of loopback TCP: `taken` when another process holds the port, so that TCP stays off. */
export type TcpState =
  | { readonly state: "off"; readonly port: number }
  | { readonly state: "listening"; readonly port: number }
  | { readonly state: "taken"; readonly port: number; readonly error: DoorwardError };

/**
 * Listens on loopback, on every given address or on none: clients that say "localhost" may choose either, and whoever
 * held the other could collect their tokens. An address that the host does not have is left out.
 */
export async function listenOnLoopback(
  port: number,
  addresses: readonly string[],
  makeServer: (port: () => number) => Server,
): Promise<{ readonly tcp: TcpState; readonly servers: readonly Server[] }> {
  const servers: Server[] = [];
  let bound = port;
  for (const address of addresses) {
    const server = makeServer(() => bound);
    const fault = await listening(server, address, bound);
    if (fault === undefined) {
      servers.push(server);
      bound = portOf(server);
    } else if (fault.code !== "EADDRNOTAVAIL" && fault.code !== "EAFNOSUPPORT") {
      for (const other of servers) other.close();
      return { tcp: { state: "taken", port, error: taken(port, address, fault) }, servers: [] };
    }
  }
  if (servers.length === 0) return { tcp: { state: "off", port }, servers };
  return { tcp: { state: "listening", port: bound }, servers };
}

function listening(server: Server, host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    server.once("error", resolve);
    server.listen({ host, port, exclusive: true, ipv6Only: host.includes(":") }, () => {
      server.off("error", resolve);
      resolve(undefined);
    });
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function taken(port: number, address: string, cause: NodeJS.ErrnoException): DoorwardError {
  return new DoorwardError({
    code: "PORT_TAKEN",
    message: `Cannot listen on ${address}:${String(port)}: ${cause.code === "EADDRINUSE" ? "another process holds the port" : String(cause.code)}`,
    hint: "doorward bridge status",
    cause,
  });
}
