import { execFile } from "node:child_process";

/** What a finished command left behind; `code` is `null` when it could not be started or was killed. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a command: its environment is exactly `env`, and it is killed after `timeoutMs`. */
export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const defaultTimeoutMs = 15_000;
const maxOutputBytes = 4 * 1024 * 1024;

/** Runs a command without a shell and gives back what it wrote; never throws for a failing command. */
export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { env = process.env, timeoutMs = defaultTimeoutMs, signal } = options;
  return new Promise((resolve) => {
    const limits = { env, timeout: timeoutMs, maxBuffer: maxOutputBytes, killSignal: "SIGKILL" as const };
    execFile(
      file,
      [...args],
      signal === undefined ? limits : { ...limits, signal },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr });
        else
          resolve({
            code: typeof error.code === "number" ? error.code : null,
            stdout,
            stderr: stderr || error.message,
          });
      },
    );
  });
}
