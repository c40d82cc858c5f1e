import { DoorwardError, toDoorwardError, type ExitStatus, type PipeQuery } from "@doorward/contracts";
import { GuestCommand, plainText } from "@doorward/guest";
import type { WebSocket } from "ws";
import type { DoorSession } from "../door.ts";
import { authoriseExec } from "./authorise.ts";
import { CommandAccount } from "./command-account.ts";
import { LineSplitter, guardText } from "./pipe-framing.ts";
import { parsePipeQuery } from "./pipe-query.ts";
import { PipeStdin } from "./pipe-stdin.ts";
import type { Quota } from "./quota.ts";

/** Bytes for a client that may wait in the bridge before the program is held back. */
const HIGH_WATER_BYTES = 1_048_576;
/** Last bytes of stderr that are kept for the close frame. */
const STDERR_TAIL_BYTES = 1024;
/** Bytes of a close frame's reason, less what a character that is cut in two takes. */
const REASON_BYTES = 120;

interface Pipe {
  readonly session: DoorSession;
  readonly socket: WebSocket;
  readonly query: PipeQuery;
  readonly command: GuestCommand;
  readonly account: CommandAccount;
}

/**
 * A program's stdin and stdout as one socket with nothing else on it, for clients that know nothing of Doorward. The
 * program's whole group dies with the socket and with the grant.
 */
export class PipeSession {
  readonly #pipe: Pipe;
  readonly #lines = new LineSplitter();
  #unsent = 0;
  #stderr = Buffer.alloc(0);

  /** Serves a session until its end; the program's record is durable before the client hears of its exit. */
  static async serve(session: DoorSession, socket: WebSocket, running: Quota): Promise<void> {
    const query = parsePipeQuery(session.query);
    const stdin = new PipeStdin(socket, query.framing);
    authoriseExec(session);
    using _place = running.take(session.machine.id, session.spec.execution.maxConcurrent);
    const account = new CommandAccount(session, { argv: query.arg, cwd: query.cwd ?? null });
    try {
      using command = await GuestCommand.start(session.host, openOf(query), session.signal);
      await new PipeSession({ session, socket, query, command, account }).#carry(stdin);
    } catch (error) {
      await account.close({ outcome: "not-started", detail: toDoorwardError(error).message });
      throw error;
    }
  }

  private constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  async #carry(stdin: PipeStdin): Promise<void> {
    const { account, socket } = this.#pipe;
    try {
      const status = await this.#exit(stdin);
      if (status === "cut") await account.close({ outcome: "cut", detail: "the session ended before it" });
      else await this.#exited(status, socket, stdin);
    } catch (error) {
      const { message } = toDoorwardError(error);
      await account.close({ outcome: "lost", detail: message });
      throw error;
    }
  }

  /** Carries until the program exits or the session is over. */
  #exit(stdin: PipeStdin): Promise<ExitStatus | "cut"> {
    const { session, command, account } = this.#pipe;
    return new Promise((resolve, reject) => {
      const guarded = (act: () => void): void => {
        try {
          act();
        } catch (thrown) {
          reject(toDoorwardError(thrown));
        }
      };
      session.signal.addEventListener("abort", () => resolve("cut"), { once: true });
      if (session.signal.aborted) resolve("cut");
      command.listen({
        stdout: (bytes) => guarded(() => this.#wrote(bytes)),
        stderr: (bytes) => this.#complained(bytes),
        credit: (bytes) => stdin.credit(bytes),
        exit: (status) => resolve(status),
        closed: (error) => reject(error ?? lost()),
      });
      stdin.begin({
        command,
        wrote: (bytes) => account.count("stdin", bytes),
        fail: (thrown) => reject(toDoorwardError(thrown)),
      });
    });
  }

  async #exited(status: ExitStatus, socket: WebSocket, stdin: PipeStdin): Promise<void> {
    const rest = this.#lines.take();
    if (rest.length > 0) this.#sendLine(rest);
    const outcome = status.signal === null ? "exited" : "signalled";
    await this.#pipe.account.close({ outcome, exitCode: status.code, signal: status.signal });
    stdin.end();
    socket.close(1000, reasonOf(status, this.#stderr));
  }

  #wrote(bytes: Buffer): void {
    this.#pipe.account.count("stdout", bytes.length);
    if (this.#pipe.query.framing === "bytes") this.#send(bytes, true);
    else for (const line of this.#lines.push(bytes)) this.#sendLine(line);
  }

  #sendLine(line: Buffer): void {
    guardText(line);
    this.#send(line, false);
  }

  #send(bytes: Buffer, binary: boolean): void {
    const { socket, command } = this.#pipe;
    this.#unsent += bytes.length;
    socket.send(bytes, { binary }, () => {
      this.#unsent -= bytes.length;
      if (this.#unsent <= HIGH_WATER_BYTES / 2) command.resume();
    });
    if (this.#unsent > HIGH_WATER_BYTES) command.pause();
  }

  #complained(bytes: Buffer): void {
    this.#pipe.account.count("stderr", bytes.length);
    this.#stderr = Buffer.concat([this.#stderr, bytes]).subarray(-STDERR_TAIL_BYTES);
  }
}

function openOf(query: PipeQuery): Parameters<typeof GuestCommand.start>[1] {
  return { kind: "exec", argv: query.arg, cwd: query.cwd ?? null, env: {}, stdin: true };
}

/** E.g. `EXIT 2: error: unexpected argument`: how it ended, and the last line that it complained with. */
function reasonOf({ code, signal }: ExitStatus, stderr: Buffer): string {
  const ended = signal ?? `EXIT ${String(code)}`;
  const line = stderr.toString("utf8").trimEnd().split("\n").at(-1) ?? "";
  const reason = line === "" || code === 0 ? ended : `${ended}: ${plainText(line)}`;
  return Buffer.from(reason).subarray(0, REASON_BYTES).toString("utf8");
}

function lost(): DoorwardError {
  return new DoorwardError({
    code: "GUEST_UNREACHABLE",
    message: "Cannot go on with pipe: the machine's guest closed the stream before the program ended",
  });
}
