import type { Readable, Writable } from "node:stream";

/** A stream of this process that may be a terminal. */
export type TerminalReadable = Readable & { readonly isTTY?: boolean; readonly fd?: number };

/** A stream of this process that may be a terminal. */
export type TerminalWritable = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** Everything that the command takes from its process; nothing else of it reads globals. */
export interface Cli {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The file that this process was started with, for hints that can be pasted. */
  readonly script: string | undefined;
  readonly stdin: TerminalReadable;
  readonly stdout: TerminalWritable;
  readonly stderr: TerminalWritable;
  /** Aborts when the user asks the command to stop. */
  readonly signal: AbortSignal;
  /** What followed `--`, for commands that run something. */
  readonly passthrough: readonly string[];
  /** Set by the command that ran. */
  exitCode: number;
}
