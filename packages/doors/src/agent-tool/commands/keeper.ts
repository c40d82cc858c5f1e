import { toDoorwardError } from "@doorward/contracts";
import { GuestCommand, type GuestDialer } from "@doorward/guest";

/** Variable by which what a command started is found again, in whatever session or group it is. */
export const CALL_VARIABLE = "DOORWARD_CALL";

/**
 * Reads marks, a line each, and kills what has one in its environment; at the end of its input, all that has the
 * session's. What is found is stopped first, so that it can't fork while the others are looked for, and killed when no more
 * come; it looks until there is nothing left, and once more after a moment. A process that is just starting a program has
 * neither environment nor arguments to read, on a slow host for a while: it is waited for. A fork bomb leaves it little time
 * and no room for programs of its own: in bash it starts none, and reads no process twice that it stopped.
 */
const PROGRAM = `trap '' TERM HUP INT
empty() {
  if [ -z "$BASH_VERSION" ]; then ! grep -q . "$1" 2>/dev/null; return; fi
  unset words
  mapfile -d '' -t words 2>/dev/null <"$1"
  [ -z "\${words[*]}" ]
}
marked() {
  if [ -z "$BASH_VERSION" ]; then grep -qF "=$2" "$1" 2>/dev/null; return; fi
  mapfile -d '' -t variables 2>/dev/null <"$1" || return 1
  case " \${variables[*]}" in *" ${CALL_VARIABLE}=$2"*) return 0 ;; esac
  return 1
}
starting() {
  empty "/proc/$1/environ" && empty "/proc/$1/cmdline" || return 1
  stat=
  read -r stat 2>/dev/null <"/proc/$1/stat"
  set -- \${stat##*) }
  case $1 in Z | X) return 1 ;; esac
  case $7 in "" | *[!0-9]*) return 1 ;; esac
  [ $(($7 & 0x200000)) -eq 0 ]
}
stop() {
  new=
  for file in /proc/[0-9]*/environ; do
    pid=\${file#/proc/}
    pid=\${pid%/environ}
    if [ -n "$BASH_VERSION" ] && [ -n "\${stopped[$pid]}" ]; then continue; fi
    if ! marked "$file" "$1"; then
      if starting "$pid"; then young=1; fi
      continue
    fi
    kill -STOP "$pid" 2>/dev/null
    if [ -n "$BASH_VERSION" ]; then stopped[$pid]=1; fi
    found="$found $pid"
    new=1
  done
}
pause() {
  read -r -t 0.1 early 2>/dev/null
  case $? in
    0) marks="$marks$early " ;;
    1 | 2) sleep 0.1 2>/dev/null ;;
  esac
}
end() {
  left=50
  again=1
  while [ "$left" -gt 0 ]; do
    found=
    young=
    unset stopped
    tries=5
    while [ "$tries" -gt 0 ]; do
      stop "$1"
      if [ -z "$new" ]; then break; fi
      tries=$((tries - 1))
    done
    left=$((left - 1))
    if [ -n "$found" ]; then
      kill -KILL $found 2>/dev/null
      again=1
    elif [ -n "$again$young" ]; then
      again=
      pause
    else
      return
    fi
  done
}
next() {
  if [ -z "$marks" ]; then read -r mark; return; fi
  mark=\${marks%% *}
  marks=\${marks#* }
}
marks=
while next; do end "$mark"; done
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
    const start = (shell: string): Promise<GuestCommand> => {
      const argv = [shell, "-c", PROGRAM, "doorward-keeper", mark];
      return GuestCommand.start(link, { kind: "exec", argv, cwd: "/", env: {}, stdin: true }, signal);
    };
    return new Keeper(
      await start("bash").catch((error: unknown) => {
        if (toDoorwardError(error).code === "COMMAND_NOT_FOUND") return start("sh");
        throw error;
      }),
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
