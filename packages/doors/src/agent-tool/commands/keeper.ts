import { GuestCommand, type GuestDialer } from "@doorward/guest";

/** Variable by which what a command started is found again, in whatever session or group it is. */
export const CALL_VARIABLE = "DOORWARD_CALL";

/**
 * Reads marks, a line each, and kills what has one in its environment; at the end of its input, all that has the
 * session's. It kills until a look around finds nothing, because what is killed may be forking.
 */
const PROGRAM = `trap '' TERM HUP INT
end() {
  left=40
  while [ "$left" -gt 0 ]; do
    found=$(grep -lF "$1" /proc/[0-9]*/environ 2>/dev/null)
    [ -z "$found" ] && return
    for one in $found; do one=\${one#/proc/}; kill -KILL "\${one%/environ}" 2>/dev/null; done
    left=$((left - 1))
  done
}
while read -r mark; do end "$mark"; done
end "$1"`;

/**
 * A small program in the machine that outlives every command of a session by a moment, to end what they left: programs in
 * the background, with nohup, in sessions of their own. What clears its environment and leaves its session is not found.
 */
export class Keeper implements Disposable {
  readonly #command: GuestCommand;
  #lost = false;

  /** Starts it; `mark` is what the environment of everything that the session starts contains. */
  static async start(link: GuestDialer, mark: string, signal: AbortSignal): Promise<Keeper> {
    const argv = ["sh", "-c", PROGRAM, "doorward-keeper", mark];
    return new Keeper(
      await GuestCommand.start(link, { kind: "exec", argv, cwd: "/", env: {}, stdin: true }, signal),
    );
  }

  private constructor(command: GuestCommand) {
    this.#command = command;
    command.listen({
      stdout: () => undefined,
      stderr: () => undefined,
      credit: () => undefined,
      exit: () => (this.#lost = true),
      closed: () => (this.#lost = true),
    });
  }

  /** Whether it is gone, e.g. with its machine's guest. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Kills what has this mark. */
  end(mark: string): void {
    if (!this.#lost) this.#command.stdin(Buffer.from(`${mark}\n`));
  }

  /** Kills what has the session's mark. */
  [Symbol.dispose](): void {
    this.#command[Symbol.dispose]();
  }
}
