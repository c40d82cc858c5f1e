import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { readText } from "../../hosts/linux/read-text.ts";
import { runCommand } from "../../hosts/linux/run-command.ts";

/** Whether a runtime can create a container here, and whether it maps ids on bind mounts. */
export interface RuntimeTrial {
  readonly works: boolean;
  readonly idmap: boolean;
  readonly reason: string | null;
}

const outside = 54_321;
const rangeStart = 200_000;
const inside = rangeStart + 1000;
const hostFolders = ["/usr", "/lib", "/lib64", "/bin"] as const;

/** Creates (without starting) a container from the host's own read-only folders, looks at its id-mapped mount, and deletes it. */
export async function tryRuntime(path: string, scratch: string, signal: AbortSignal): Promise<RuntimeTrial> {
  const bundle = mkdtempSync(join(scratch, "trial-"));
  const id = `doorward-${basename(bundle)}`;
  try {
    writeBundle(bundle, id);
    const pidFile = join(bundle, "pid");
    const errors = join(bundle, "errors");
    // The container keeps the runtime's own streams open, so these must not be pipes to us.
    const script = `exec "$0" create --bundle "$1" --pid-file "$2" "$3" </dev/null >/dev/null 2>"$4"`;
    const created = await runCommand("/bin/sh", ["-c", script, path, bundle, pidFile, id, errors], {
      signal,
    });
    const pid = readText(pidFile)?.trim();
    if (created.code !== 0 || pid === undefined) {
      return { works: false, idmap: false, reason: readText(errors)?.trim().split("\n").at(-1) ?? "failed" };
    }
    const seen = statSync(`/proc/${pid}/root/probe`, { throwIfNoEntry: false });
    return { works: true, idmap: seen?.uid === inside, reason: null };
  } finally {
    await runCommand(path, ["delete", "--force", id]);
    rmSync(bundle, { recursive: true, force: true });
  }
}

function writeBundle(bundle: string, id: string): void {
  const source = join(bundle, "source");
  for (const name of ["usr", "lib", "lib64", "bin", "proc", "dev", "sys", "probe"]) {
    mkdirSync(join(bundle, "rootfs", name), { recursive: true });
  }
  // The range's root must be able to walk down to the root file system.
  chmodSync(bundle, 0o711);
  mkdirSync(source);
  chownSync(source, outside, outside);
  writeFileSync(join(bundle, "config.json"), JSON.stringify(ociConfig(source, id)));
}

function ociConfig(source: string, id: string): object {
  const map = [{ containerID: 0, hostID: rangeStart, size: 65_536 }];
  const pair = `${String(outside)}-${String(inside)}-1`;
  const bind = (path: string): object => ({
    destination: path,
    type: "bind",
    source: path,
    options: ["rbind", "ro"],
  });
  return {
    ociVersion: "1.0.0",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ["/bin/true"],
      cwd: "/",
      env: ["PATH=/usr/bin:/bin"],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
      ...hostFolders.filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined).map(bind),
      {
        destination: "/probe",
        type: "bind",
        source,
        options: ["bind", "rw", `idmap=uids=${pair};gids=${pair}`],
      },
    ],
    linux: {
      cgroupsPath: `/${id}`,
      uidMappings: map,
      gidMappings: map,
      namespaces: ["user", "mount", "pid", "ipc", "uts", "network"].map((type) => ({ type })),
    },
  };
}
