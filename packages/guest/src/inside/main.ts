import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { EGRESS_PORT } from "../egress-port.ts";
import { encodeMessage } from "../frame.ts";
import { FRAME, type ControlFromGuest } from "../protocol.ts";
import { ControlConnection, type GuestServices } from "./connection.ts";
import { CloseOnExec } from "./close-on-exec.ts";
import { runDialStream } from "./dial-stream.ts";
import { listenForEgress } from "./egress-listener.ts";
import type { CommandMaker } from "./command.ts";
import { ExecStream } from "./exec-stream.ts";
import { BeneathOpener } from "./files/beneath-opener.ts";
import { FilesStream, type FileTools } from "./files/files-stream.ts";
import { Ripgrep } from "./files/ripgrep.ts";
import { PipeMaker } from "./pipe-maker.ts";
import { ProcessMaker } from "./process-maker.ts";
import { loadNativePty } from "./pty.ts";
import { Turns } from "./files/turns.ts";
import { failureOf } from "./stream-failure.ts";
import { TerminalStream } from "./terminal-stream.ts";
import { TerminalTable } from "./terminal-table.ts";

const BUILD = "0.1.0";
/** Large files that are read at once, for all streams; each takes a few parts of memory. */
const LARGE_READS = 8;
const DEFAULT_SOCKET = "/run/doorward/guest.sock";

/** Runs the guest: `guest.mjs [--socket PATH] [--pty PATH] [--ffi PATH] [--rg PATH] [--egress-port PORT]`. It reads nothing else from its arguments or environment. */
function main(argv: readonly string[]): void {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      socket: { type: "string" },
      pty: { type: "string" },
      ffi: { type: "string" },
      rg: { type: "string" },
      "egress-port": { type: "string" },
    },
  });
  // capturing a stack costs more than the system call that answers EAGAIN
  Error.stackTraceLimit = 3;
  const table = new TerminalTable();
  const ffi = values.ffi ?? beside("./ffi.node");
  const maker = { pipes: new PipeMaker(ffi), processes: new ProcessMaker(ffi) };
  const files = {
    opener: new BeneathOpener(ffi),
    ripgrep: new Ripgrep(values.rg ?? beside("./bin/rg")),
    largeReads: new Turns(LARGE_READS),
  };
  loadNativePty(values.pty ?? beside("./pty.node"), new CloseOnExec(ffi));
  keepRunning();
  stopOnSignal(table);
  const socketPath = values.socket ?? DEFAULT_SOCKET;
  const egress = listenForEgress(socketPath, Number(values["egress-port"] ?? EGRESS_PORT));
  serve(socketPath, { table, maker, files, egress });
}

interface Parts {
  readonly table: TerminalTable;
  readonly maker: CommandMaker;
  readonly files: FileTools;
  readonly egress: GuestServices["egress"];
}

function serve(socketPath: string, { table, maker, files, egress }: Parts): void {
  let commands = 0;
  const identity = { instance: newInstance(), build: BUILD };
  const connection = new ControlConnection(socketPath, identity, {
    egress,
    serve: (open, socket) => {
      if (open.kind === "terminal") {
        TerminalStream.run(open, socket, table);
        return;
      }
      if (open.kind === "dial") {
        void runDialStream(open, socket);
        return;
      }
      if (open.kind === "files") {
        FilesStream.run(open, socket, files);
        return;
      }
      commands += 1;
      ExecStream.run(open, socket, maker)
        .catch((error: unknown) => socket.end(encodeMessage(FRAME.failed, failureOf(error))))
        .finally(() => (commands -= 1));
    },
    answer: (what, id) =>
      what === "health" ? health(id, table, commands, maker) : { what, id, terminals: table.list() },
  });
  connection.start();
}

function health(
  id: number,
  table: TerminalTable,
  commands: number,
  { pipes }: CommandMaker,
): ControlFromGuest {
  return {
    what: "health",
    id,
    health: {
      uptimeSeconds: process.uptime(),
      rssBytes: process.memoryUsage.rss(),
      terminals: table.running,
      commands,
      pipes: pipes.usable,
    },
  };
}

function beside(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** From the kernel: loading Node's cryptography for one random name costs a megabyte. */
function newInstance(): string {
  return readFileSync("/proc/sys/kernel/random/uuid", "utf8").replace(/[^a-f0-9]/g, "");
}

/** A fault in one stream must not take everybody's terminals along. */
function keepRunning(): void {
  process.on("uncaughtException", (error) => console.error("fault:", error));
}

function stopOnSignal(table: TerminalTable): void {
  const stop = (): void => {
    table.hangUp();
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

main(process.argv.slice(2));
