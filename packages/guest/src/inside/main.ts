import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { encodeMessage } from "../frame.ts";
import { FRAME, type ControlFromGuest } from "../protocol.ts";
import { ControlConnection } from "./connection.ts";
import { ExecStream } from "./exec-stream.ts";
import { FifoPool } from "./fifo-pool.ts";
import { loadNativePty } from "./pty.ts";
import { failureOf } from "./stream-failure.ts";
import { TerminalStream } from "./terminal-stream.ts";
import { TerminalTable } from "./terminal-table.ts";

const BUILD = "0.1.0";
const DEFAULT_SOCKET = "/run/doorward/guest.sock";

/** Runs the guest: `guest.mjs [--socket PATH] [--pty PATH]`. It reads nothing else from its arguments or environment. */
function main(argv: readonly string[]): void {
  const { values } = parseArgs({
    args: [...argv],
    options: { socket: { type: "string" }, pty: { type: "string" } },
  });
  // capturing a stack costs more than the system call that answers EAGAIN
  Error.stackTraceLimit = 3;
  const table = new TerminalTable();
  const fifos = new FifoPool();
  loadNativePty(values.pty ?? fileURLToPath(new URL("./pty.node", import.meta.url)));
  keepRunning();
  stopOnSignal(table, fifos);
  serve(values.socket ?? DEFAULT_SOCKET, table, fifos);
}

function serve(socketPath: string, table: TerminalTable, fifos: FifoPool): void {
  let commands = 0;
  const identity = { instance: randomBytes(10).toString("hex"), build: BUILD };
  const connection = new ControlConnection(socketPath, identity, {
    serve: (open, socket) => {
      if (open.kind === "terminal") {
        TerminalStream.run(open, socket, table);
        return;
      }
      commands += 1;
      ExecStream.run(open, socket, fifos)
        .catch((error: unknown) => socket.end(encodeMessage(FRAME.failed, failureOf(error))))
        .finally(() => (commands -= 1));
    },
    answer: (what, id) =>
      what === "health" ? health(id, table, commands, fifos) : { what, id, terminals: table.list() },
  });
  connection.start();
  void fifos.reserve(3);
}

function health(id: number, table: TerminalTable, commands: number, fifos: FifoPool): ControlFromGuest {
  return {
    what: "health",
    id,
    health: {
      uptimeSeconds: process.uptime(),
      rssBytes: process.memoryUsage.rss(),
      terminals: table.running,
      commands,
      pipes: fifos.usable,
    },
  };
}

/** A fault in one stream must not take everybody's terminals along. */
function keepRunning(): void {
  process.on("uncaughtException", (error) => console.error("fault:", error));
}

function stopOnSignal(table: TerminalTable, fifos: FifoPool): void {
  const stop = (): void => {
    table.hangUp();
    fifos.close();
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

main(process.argv.slice(2));
