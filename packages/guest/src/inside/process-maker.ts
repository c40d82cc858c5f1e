import { constants } from "node:os";
import { loadFfi } from "./ffi.ts";
import { KernelError } from "./start-failure.ts";
import { StreamFailure } from "./stream-failure.ts";

/** Constants of the C library; the same on every Linux that we run on. */
const [SETSIGDEF, SETSIGMASK, SETSID] = [0x04, 0x08, 0x80];
const SIGNAL_SET_BYTES = 128;
/** Bytes for `posix_spawnattr_t` and `posix_spawn_file_actions_t`, which are smaller. */
const OPAQUE_BYTES = 512;
const [WNOHANG, ENOEXEC] = [1, 8];

/** What a process is started from. */
export interface ProcessStart {
  /** Absolute path. */
  readonly program: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Descriptors that become its standard streams; null is /dev/null. */
  readonly stdio: readonly [number | null, number, number];
}

/** How a process ended: one of both is null. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

type Spawn = (
  pid: [number],
  path: string,
  actions: Buffer,
  attributes: Buffer,
  argv: readonly (string | null)[],
  env: readonly (string | null)[],
) => number;

interface CLibrary {
  readonly spawn: Spawn;
  readonly wait: (pid: number, status: [number], options: number) => number;
  readonly actionsInit: (actions: Buffer) => number;
  readonly actionsDestroy: (actions: Buffer) => number;
  readonly addDup: (actions: Buffer, from: number, to: number) => number;
  readonly addOpen: (actions: Buffer, to: number, path: string, flags: number, mode: number) => number;
  readonly addFolder: (actions: Buffer, path: string) => number;
  /** Attributes that all share: a session of its own, no signal blocked or ignored. */
  readonly attributes: Buffer;
}

/**
 * Starts processes by `posix_spawn`. Node forks, and copies the tables of all its memory for a child that throws them
 * away at once: a millisecond or more, during which the guest serves nobody.
 */
export class ProcessMaker {
  readonly #path: string;
  readonly #running = new Map<number, (end: ProcessEnd) => void>();
  #library: CLibrary | undefined;
  #failed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Whether it can; the native module is loaded at the first question. */
  get usable(): boolean {
    if (this.#library === undefined && !this.#failed) this.#load();
    return !this.#failed;
  }

  /** Starts one in a session of its own; answers its pid, or throws why the system refused. */
  start(what: ProcessStart, ended: (end: ProcessEnd) => void): number {
    const library = this.#library;
    if (!this.usable || library === undefined)
      throw new Error("Cannot start process: posix_spawn is not there");
    requireNoNul(what);
    const pid = spawned(library, what);
    this.#running.set(pid, ended);
    return pid;
  }

  #load(): void {
    try {
      this.#library = loadLibrary(this.#path);
      process.on("SIGCHLD", () => this.#collect());
    } catch (error) {
      this.#failed = true;
      console.error("commands are started by fork instead of posix_spawn:", error);
    }
  }

  /** One signal may stand for many children that ended. */
  #collect(): void {
    for (const [pid, ended] of this.#running) {
      const status: [number] = [0];
      const waited = this.#library?.wait(pid, status, WNOHANG);
      if (waited === 0) continue;
      this.#running.delete(pid);
      ended(waited === pid ? endOf(status[0]) : { code: 255, signal: null });
    }
  }
}

function loadLibrary(path: string): CLibrary {
  const attributes = Buffer.alloc(OPAQUE_BYTES);
  const set = (name: string, type: string, value: unknown): void => {
    const call = loadFfi<(target: Buffer, value: unknown) => number>(
      path,
      `int ${name}(void *a, ${type} value)`,
    );
    if (call(attributes, value) !== 0) throw new Error(`${name} failed`);
  };
  loadFfi<(target: Buffer) => number>(path, "int posix_spawnattr_init(void *a)")(attributes);
  set("posix_spawnattr_setflags", "short", SETSIGDEF | SETSIGMASK | SETSID);
  set("posix_spawnattr_setsigdefault", "void *", Buffer.alloc(SIGNAL_SET_BYTES, 0xff));
  set("posix_spawnattr_setsigmask", "void *", Buffer.alloc(SIGNAL_SET_BYTES));
  const actions = "posix_spawn_file_actions";
  return {
    attributes,
    spawn: loadFfi(
      path,
      "int posix_spawn(_Out_ int *pid, const char *path, void *f, void *a, const char **argv, const char **env)",
    ),
    wait: loadFfi(path, "int waitpid(int pid, _Out_ int *status, int options)"),
    actionsInit: loadFfi(path, `int ${actions}_init(void *f)`),
    actionsDestroy: loadFfi(path, `int ${actions}_destroy(void *f)`),
    addDup: loadFfi(path, `int ${actions}_adddup2(void *f, int from, int to)`),
    addOpen: loadFfi(path, `int ${actions}_addopen(void *f, int to, const char *path, int flags, int mode)`),
    addFolder: loadFfi(path, `int ${actions}_addchdir_np(void *f, const char *path)`),
  };
}

function spawned(library: CLibrary, { program, argv, env, cwd, stdio }: ProcessStart): number {
  const actions = Buffer.alloc(OPAQUE_BYTES);
  require0(library.actionsInit(actions), program);
  try {
    for (const [to, from] of stdio.entries()) {
      if (from === null) require0(library.addOpen(actions, to, "/dev/null", 0, 0), program);
      else require0(library.addDup(actions, from, to), program);
    }
    require0(library.addFolder(actions, cwd), program);
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const pid: [number] = [0];
    const run = (path: string, args: readonly string[]): number =>
      library.spawn(pid, path, actions, library.attributes, [...args, null], [...variables, null]);
    const failed = run(program, argv);
    // A script without a first line that names its interpreter is the shell's, as execvp has it.
    if (failed === ENOEXEC) require0(run("/bin/sh", ["sh", program, ...argv.slice(1)]), program);
    else require0(failed, program);
    return pid[0];
  } finally {
    library.actionsDestroy(actions);
  }
}

function require0(failed: number, program: string): void {
  if (failed !== 0) throw KernelError.of(failed, `Cannot run "${program}"`);
}

/** A C string ends at its first NUL: what stands behind it would be lost without a word. */
function requireNoNul({ program, argv, env, cwd }: ProcessStart): void {
  const strings = [program, cwd, ...argv, ...Object.keys(env), ...Object.values(env)];
  if (strings.some((one) => one.includes("\0")))
    throw new StreamFailure("INPUT_INVALID", `Cannot run "${program}": a NUL is in its words`);
}

/** Of two names for one signal, the first. */
const signalNames = new Map<number, string>(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

/** Takes the status of `waitpid` apart. */
function endOf(status: number): ProcessEnd {
  const signal = status & 0x7f;
  if (signal === 0) return { code: (status >> 8) & 0xff, signal: null };
  return { code: null, signal: signalNames.get(signal) ?? `SIG${String(signal)}` };
}
