import { connect, createServer, type Server, type Socket } from "node:net";
import { encodeMessage } from "../frame.ts";
import { FRAME, type ConnectionHello } from "../protocol.ts";
import { join } from "./join-streams.ts";

/** Connections that are carried at once; the bridge has a limit of its own that counts. */
const MAX_CONNECTIONS = 1024;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5000;
const HELLO = encodeMessage(FRAME.hello, { connection: "egress" } satisfies ConnectionHello);

/**
 * Listens on the machine's loopback and carries each connection to the bridge, byte for byte: what is spoken there is
 * read and judged on the host alone. Without a bridge a connection ends at once. A port that is taken is tried again.
 *
 * Nothing here is a wall: a program of the machine may connect to the bridge's socket and send the same hello itself.
 * It gets what it would get at this port, and nothing more. Answers what turns it off, where the bridge serves the port
 * itself, and on again.
 */
export function listenForEgress(socketPath: string, port: number): (listen: boolean) => void {
  let retryMs = FIRST_RETRY_MS;
  let wanted = true;
  let retrying: NodeJS.Timeout | undefined;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => carry(socket, socketPath));
  server.maxConnections = MAX_CONNECTIONS;
  server.on("listening", () => (retryMs = FIRST_RETRY_MS));
  server.on("error", (error) => {
    if (retryMs === FIRST_RETRY_MS) console.error("egress: cannot listen:", error.message);
    clearTimeout(retrying);
    retrying = setTimeout(() => begin(server, port), retryMs);
    retryMs = Math.min(LAST_RETRY_MS, retryMs * 2);
  });
  begin(server, port);
  return (listen) => {
    if (listen === wanted) return;
    wanted = listen;
    clearTimeout(retrying);
    if (listen) begin(server, port);
    else server.close();
  };
}

function begin(server: Server, port: number): void {
  server.listen({ port, host: "127.0.0.1", backlog: 511 });
}

function carry(socket: Socket, socketPath: string): void {
  const bridge = connect({ path: socketPath, allowHalfOpen: true });
  bridge.write(HELLO);
  join(bridge, socket);
}
