import { readFile, realpath } from "node:fs/promises";
import { isAbsolute } from "node:path";

/** What path decisions need to know of the host and of this installation. */
export interface PathHost {
  readonly platform: "linux" | "darwin" | "win32";
  /** The operator's home folder. */
  readonly home: string;
  /** Home folders of other people on this host. */
  readonly otherHomes: readonly string[];
  /** Doorward's own folders. */
  readonly ownFolders: readonly string[];
  /** Sockets of container engines at places that only the environment names. */
  readonly engineSockets: readonly string[];
  /** Whether names that differ only in case may be the same file. */
  readonly caseInsensitive: boolean;
}

/** Where an installation lives. */
export interface InstallationFolders {
  readonly configDir: string;
  readonly stateDir: string;
  readonly runtimeDir: string;
  readonly home: string;
}

/** Looks at this host: home folders of other people, and engine sockets that the environment names. */
export async function currentPathHost(
  folders: InstallationFolders,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<PathHost> {
  const platform = process.platform === "darwin" || process.platform === "win32" ? process.platform : "linux";
  const home = await resolved(folders.home);
  const homes = platform === "linux" ? await homesOfPeople() : [];
  return {
    platform,
    home,
    otherHomes: homes.filter((other) => other !== home),
    ownFolders: [folders.configDir, folders.stateDir, folders.runtimeDir],
    engineSockets: engineSockets(env),
    caseInsensitive: platform !== "linux",
  };
}

/** Home folders in passwd(5) of root and of people; those of services are places like `/` or `/usr/sbin`. */
export function homesIn(passwd: string): string[] {
  const homes = passwd.split("\n").flatMap((line) => {
    const [, , uid, , , home] = line.split(":");
    const person = uid === "0" || (Number(uid) >= 1000 && Number(uid) < 65_534);
    return person && home !== undefined && /^\/[^/]/.test(home) ? [home.replace(/\/+$/, "")] : [];
  });
  return [...new Set(homes)];
}

async function homesOfPeople(): Promise<string[]> {
  const passwd = await readFile("/etc/passwd", "utf8").catch(() => "");
  return Promise.all(homesIn(passwd).map(resolved));
}

async function resolved(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

function engineSockets(env: Readonly<Record<string, string | undefined>>): string[] {
  const urls = [env["DOCKER_HOST"], env["CONTAINER_HOST"]];
  return urls.flatMap((url) => {
    const path = url?.replace(/^unix:\/\//, "");
    return path !== undefined && path !== url && isAbsolute(path) ? [path] : [];
  });
}
