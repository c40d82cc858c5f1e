/** What `podman inspect` says of a machine, as far as flags are made of it. */
export interface Inspected {
  readonly Image: string;
  readonly Config: {
    readonly Cmd: readonly string[];
    readonly Env: readonly string[];
    readonly Hostname: string;
    readonly User: string;
    readonly WorkingDir: string;
  };
  readonly HostConfig: {
    readonly Binds: readonly string[];
    readonly Tmpfs: Readonly<Record<string, string>>;
    readonly IDMappings?: { readonly UidMap: readonly string[]; readonly GidMap: readonly string[] } | null;
    readonly Memory: number;
    readonly PidsLimit: number;
    readonly CpuQuota: number;
    readonly CpuPeriod: number;
    readonly ShmSize: number;
    readonly Ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  };
}

/** The flags of `podman run` that make the same container; only the folder of the guest's socket is another. */
export function runFlags(
  { Image, Config, HostConfig }: Inspected,
  own: { readonly name: string; readonly seccomp: string; readonly guestFolder: string },
): string[] {
  const binds = HostConfig.Binds.map((bind) =>
    bind.includes(":/run/doorward:")
      ? `${own.guestFolder}${bind.slice(bind.indexOf(":/run/doorward:"))}`
      : bind,
  );
  return [
    ...[
      "--name",
      own.name,
      "--hostname",
      Config.Hostname,
      "--user",
      Config.User,
      "--workdir",
      Config.WorkingDir,
    ],
    ...[
      "--network",
      "none",
      "--read-only",
      "--read-only-tmpfs=false",
      "--init",
      "--no-hosts",
      "--unsetenv-all",
    ],
    ...[
      "--cap-drop",
      "all",
      "--security-opt",
      "no-new-privileges",
      "--security-opt",
      `seccomp=${own.seccomp}`,
    ],
    ...["--pids-limit", String(HostConfig.PidsLimit), "--memory", `${String(HostConfig.Memory)}b`],
    ...[
      "--cpus",
      String(HostConfig.CpuQuota / HostConfig.CpuPeriod),
      "--shm-size",
      `${String(HostConfig.ShmSize)}b`,
    ],
    ...["--log-driver", "k8s-file", "--systemd", "false", "--stop-timeout", "2"],
    ...(HostConfig.IDMappings?.UidMap ?? []).flatMap((map) => ["--uidmap", map]),
    ...(HostConfig.IDMappings?.GidMap ?? []).flatMap((map) => ["--gidmap", map]),
    ...HostConfig.Ulimits.flatMap(({ Name, Soft, Hard }) => [
      "--ulimit",
      `${Name.replace("RLIMIT_", "").toLowerCase()}=${String(Soft)}:${String(Hard)}`,
    ]),
    ...Object.entries(HostConfig.Tmpfs).flatMap(([target, options]) => [
      "--tmpfs",
      `${target}:${options.replace(",rprivate", "")}`,
    ]),
    ...binds.flatMap((bind) => ["--volume", bind]),
    ...Config.Env.filter((entry) => !entry.startsWith("HOSTNAME=")).flatMap((entry) => ["--env", entry]),
    Image,
    ...Config.Cmd,
  ];
}
