import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExecHello, TerminalClientMessage, TerminalHello, encodeOutput } from "@doorward/contracts";
import { WebSocketServer, type WebSocket } from "ws";

/** The far side of the control API and the doors, in their protocols: each test says what it answers. */
export interface FarSide extends AsyncDisposable {
  readonly socketPath: string;
  /** Answers HTTP requests. */
  http: (request: IncomingMessage, response: ServerResponse, body: string) => void;
  /** Is given each WebSocket with its first message, parsed. */
  door: (socket: WebSocket, hello: TerminalHello, request: IncomingMessage) => void;
  /** Is given each WebSocket whose first message asks for a command. */
  exec: (socket: WebSocket) => void;
  /** First messages so far. */
  readonly hellos: TerminalHello[];
  /** Other text messages so far. */
  readonly messages: TerminalClientMessage[];
  /** Binary messages so far. */
  readonly binary: Buffer[];
}

/** Starts a far side on a Unix socket. */
export async function startFarSide(): Promise<FarSide> {
  const folder = await mkdtemp(join(tmpdir(), "dw-client-"));
  const socketPath = join(folder, "bridge.sock");
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => [...offered][0] ?? false,
  });
  const far: FarSide = {
    socketPath,
    http: (_request, response) => response.writeHead(404).end(),
    door: () => undefined,
    exec: () => undefined,
    hellos: [],
    messages: [],
    binary: [],
    [Symbol.asyncDispose]: async () => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
  const server: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => far.http(request, response, body));
  });
  server.on("upgrade", (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (ws) => listen(far, ws, request));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return far;
}

function listen(far: FarSide, socket: WebSocket, request: IncomingMessage): void {
  let first = true;
  socket.on("message", (data: Buffer, binary: boolean) => {
    if (binary) return void far.binary.push(data);
    const message: unknown = JSON.parse(data.toString());
    if (!first) return void far.messages.push(TerminalClientMessage.parse(message));
    first = false;
    if (ExecHello.safeParse(message).success) {
      far.exec(socket);
      return;
    }
    const hello = TerminalHello.parse(message);
    far.hellos.push(hello);
    far.door(socket, hello, request);
  });
}

/** Answers a hello. */
export function ready(socket: WebSocket, over: Record<string, unknown> = {}): void {
  const message = {
    type: "ready",
    terminal: "t_0123456789",
    session: "s_0123456789",
    created: true,
    role: "controller",
    input: true,
    offset: 0,
    cols: 80,
    rows: 24,
    window: 65_536,
    ...over,
  };
  socket.send(JSON.stringify(message));
}

/** Sends output. */
export function output(socket: WebSocket, offset: number, text: string): void {
  socket.send(encodeOutput(offset, Buffer.from(text)));
}

/** Waits until something holds. */
export async function until(what: string, holds: () => boolean, ms = 120_000): Promise<void> {
  const end = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
