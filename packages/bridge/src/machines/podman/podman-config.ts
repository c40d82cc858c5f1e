import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { LinuxHost } from "../../hosts/linux/linux-host.ts";
import { keepWritten } from "../../state/index.ts";
import type { EngineFolders } from "./engine-folders.ts";
import type { RuntimeChoice } from "./runtime-choice.ts";

// crun refuses a hybrid host outright; without the empty cgroup2 mount in its own mount namespace it works.
const wrapperScript = `#!/bin/sh
exec unshare -m --propagation slave -- sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$0" "$@"' "@CRUN@" "$@"
`;

/** Writes the script that runs crun on a host with hybrid control groups; gives back its path. */
export function writeCrunWrapper(state: string, crun: string): string {
  const folder = join(state, "bin");
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const path = join(folder, "crun-hybrid");
  keepWritten(path, wrapperScript.replace("@CRUN@", crun), 0o755);
  return path;
}

/** Which cgroup manager Podman is to use: systemd's where it runs and delegates, plain cgroupfs elsewhere. */
function cgroupManager(host: LinuxHost): "systemd" | "cgroupfs" {
  if (host.cgroups !== "v2" || !host.systemd) return "cgroupfs";
  return !host.rootless || existsSync(`/run/user/${String(host.uid)}/systemd/private`)
    ? "systemd"
    : "cgroupfs";
}

/** Writes containers.conf and storage.conf of this engine's own Podman. */
export function writePodmanConfig(folders: EngineFolders, host: LinuxHost, runtime: RuntimeChoice): void {
  keepWritten(folders.containersConf, containersConf(folders, host, runtime));
  keepWritten(folders.storageConf, storageConf(folders));
}

function containersConf(folders: EngineFolders, host: LinuxHost, runtime: RuntimeChoice): string {
  const nproc = Math.min(host.nproc, 4096);
  return `# Written by Doorward at every start; changes are lost.
[containers]
default_ulimits = ["nofile=${String(host.nofile)}:${String(host.nofile)}", "nproc=${String(nproc)}:${String(nproc)}", "core=0:0"]
default_capabilities = []
default_sysctls = []
base_hosts_file = "none"
pids_limit = 512
log_driver = "k8s-file"
log_size_max = 10485760
http_proxy = false
${initPath()}
[network]
network_backend = "netavark"
network_config_dir = ${toml(folders.networks)}
default_network = "doorward"
default_subnet = "10.213.0.0/16"

[engine]
runtime = ${toml(runtime.name)}
cgroup_manager = ${toml(cgroupManager(host))}
events_logger = "file"
exit_command_delay = 5
tmp_dir = ${toml(folders.tmpDir)}
lock_type = "file"
stop_timeout = 2

[engine.runtimes]
${runtime.name} = [${toml(runtime.path)}]
`;
}

function initPath(): string {
  const found = ["/usr/bin/catatonit", "/usr/libexec/podman/catatonit", "/usr/lib/podman/catatonit"].find(
    existsSync,
  );
  return found === undefined ? "" : `init_path = ${toml(found)}\n`;
}

function storageConf(folders: EngineFolders): string {
  return `# Written by Doorward at every start; changes are lost.
[storage]
driver = "overlay"
graphroot = ${toml(folders.graphRoot)}
rootless_storage_path = ${toml(folders.graphRoot)}
runroot = ${toml(folders.runRoot)}

[storage.options.overlay]
mountopt = "nodev"
`;
}

function toml(text: string): string {
  return JSON.stringify(text);
}

/** Images of another storage folder are used as they are, and never changed: one build serves many installations. */
function sharedImages(store: string | undefined): string[] {
  return store === undefined || store === "" ? [] : ["--storage-opt", `overlay.imagestore=${store}`];
}

/** Flags and environment with which every Podman process of this engine is started. */
export function podmanInvocation(folders: EngineFolders): {
  args: readonly string[];
  env: NodeJS.ProcessEnv;
} {
  const passed = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "TMPDIR",
    "LANG",
  ];
  const env: NodeJS.ProcessEnv = {};
  for (const name of passed) if (process.env[name] !== undefined) env[name] = process.env[name];
  env["PATH"] = [env["PATH"] ?? "", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"]
    .filter(Boolean)
    .join(":");
  env["CONTAINERS_CONF"] = folders.containersConf;
  env["CONTAINERS_STORAGE_CONF"] = folders.storageConf;
  const places = ["--root", folders.graphRoot, "--runroot", folders.runRoot, "--tmpdir", folders.tmpDir];
  return { args: [...places, ...sharedImages(process.env["DOORWARD_IMAGE_STORE"])], env };
}
