import { request } from "node:http";
import { connect, type TerminalEnd, type TerminalSession } from "@doorward/client";
import { WebSocket } from "ws";

/** What an HTTP request was answered. */
export interface Answer {
  readonly status: number;
  readonly code: string;
  readonly text: string;
}

/** A terminal that a grant opened. */
export interface Attached {
  readonly session: TerminalSession;
  readonly seen: () => string;
  readonly ended: Promise<{ end: TerminalEnd; at: number }>;
}

/** What a grant's holder can try on a bridge's TCP port. */
export class OverTcp {
  readonly port: number;

  constructor(port: number) {
    this.port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** One HTTP request with exactly these headers. */
  http(path: string, headers: Record<string, string> = {}, method = "GET", body = ""): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const type = body === "" ? {} : { "content-type": "application/json" };
      const sent = request({
        host: "127.0.0.1",
        port: this.port,
        path,
        method,
        headers: { ...type, ...headers },
        agent: false,
      });
      sent.once("error", reject);
      sent.once("response", (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.once("end", () => resolve({ status: response.statusCode ?? 0, code: codeIn(text), text }));
      });
      sent.end(body);
    });
  }

  /** Tries to open a door; answers the close or refusal. */
  door(path: string, headers: Record<string, string>, protocols: string[]): Promise<string> {
    return new Promise((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${this.port}${path}`, protocols, { headers });
      socket.once("open", () => {
        socket.terminate();
        resolve("open");
      });
      socket.once("error", () => undefined);
      socket.once("unexpected-response", (_request, response) => {
        let text = "";
        response.on("data", (part: Buffer) => (text += String(part)));
        response.once("end", () => resolve(`${String(response.statusCode)} ${codeIn(text)}`));
      });
    });
  }

  /** Tries to open the terminal door of a machine. */
  terminal(machine: string, token: string): Promise<string> {
    return this.door(`/v1/machines/${machine}/doors/terminal`, { authorization: `Bearer ${token}` }, [
      "doorward.terminal.v1",
    ]);
  }

  /** Attaches to a terminal of `shop` until its end, which is told with its time. */
  async attach(token: string): Promise<Attached> {
    const client = connect({ url: this.url, token });
    let text = "";
    const session = await client.attachTerminal("shop", {
      data: (bytes) => void (text += Buffer.from(bytes).toString()),
      reconnectMs: 0,
    });
    const ended = session.done.then((end) => ({ end, at: performance.now() }));
    return { session, seen: () => text, ended };
  }
}

function codeIn(text: string): string {
  try {
    return (JSON.parse(text) as { code?: string }).code ?? "";
  } catch {
    return "";
  }
}
