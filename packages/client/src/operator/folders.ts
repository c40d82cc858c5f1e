import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { DoorwardError } from "@doorward/contracts/errors";

/** Where one installation keeps its files. */
export interface Folders {
  /** `policy.yaml`. */
  readonly config: string;
  /** Store, keys, evidence, logs and the lock. */
  readonly state: string;
  /** Sockets; gone after a reboot. */
  readonly runtime: string;
}

/** The user and host that folders are resolved for. */
export interface FolderHost {
  readonly home: string;
  /** -1 where the system has no numeric users. */
  readonly uid: number;
  /** Parent of the private runtime folder, when one is needed. */
  readonly temp: string;
}

/** Longest path of a Unix socket: `sun_path` without its final NUL. */
export const SOCKET_PATH_BYTES = 107;

/** Room that a runtime folder leaves for the longest socket name in it, `/machines/m_<32>/guest.sock`. */
const SOCKET_NAME_BYTES = 56;

/**
 * The current user. The temp folder is always `/tmp`, not `TMPDIR`: a command started in a session with another
 * `TMPDIR` must find the same sockets.
 */
export function currentHost(): FolderHost {
  const { uid } = userInfo();
  return { home: homedir(), uid, temp: "/tmp" };
}

/** Resolves the folders by the XDG rules; `DOORWARD_HOME` puts all three under one folder. Touches nothing. */
export function resolveFolders(
  env: Readonly<Record<string, string | undefined>>,
  host: FolderHost = currentHost(),
): Folders {
  const own = ownHome(env["DOORWARD_HOME"]);
  if (own !== undefined) {
    const state = join(own, "state");
    return { config: join(own, "config"), state, runtime: shortEnough(join(own, "run"), state, host) };
  }
  const config = join(xdg(env["XDG_CONFIG_HOME"]) ?? join(host.home, ".config"), "doorward");
  const state = join(xdg(env["XDG_STATE_HOME"]) ?? join(host.home, ".local", "state"), "doorward");
  const base = xdg(env["XDG_RUNTIME_DIR"]);
  const runtime = base === undefined ? privateRuntime(state, host) : join(base, "doorward");
  return { config, state, runtime: shortEnough(runtime, state, host) };
}

/** Whether a runtime folder is the private one under the temp folder, which others can reach the parent of. */
export function isPrivateRuntime(folders: Folders, host: FolderHost = currentHost()): boolean {
  return folders.runtime === privateRuntime(folders.state, host);
}

function ownHome(value: string | undefined): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (isAbsolute(value)) return resolve(value);
  throw new DoorwardError({
    code: "INPUT_INVALID",
    message: `Cannot find the folders of Doorward: DOORWARD_HOME "${value}" is not an absolute path`,
    hint: `export DOORWARD_HOME="$(realpath ${value})"`,
  });
}

/** The XDG rules tell to ignore a relative path. */
function xdg(value: string | undefined): string | undefined {
  return value !== undefined && isAbsolute(value) ? resolve(value) : undefined;
}

function shortEnough(runtime: string, state: string, host: FolderHost): string {
  const fits = Buffer.byteLength(runtime) + SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES;
  return fits ? runtime : privateRuntime(state, host);
}

/** The same for every process of this user on this state folder, however the path to it is written. */
function privateRuntime(state: string, host: FolderHost): string {
  const digest = createHash("sha256")
    .update(`${host.uid}\0${canonical(state)}`)
    .digest("hex");
  return join(host.temp, `doorward-${host.uid}-${digest.slice(0, 12)}`);
}

/** Resolves the symlinks of the part that exists, so that the answer does not change once the folder is there. */
function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(canonical(parent), basename(path));
  }
}
