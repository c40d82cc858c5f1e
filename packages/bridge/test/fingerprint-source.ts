import { DEFAULT_PROFILE, profileDocument } from "@doorward/contracts";
import type { EngineMount } from "../src/machines/engine.ts";
import type { FingerprintSource } from "../src/machines/fingerprint.ts";

const sha = (digit: string): string => `sha256:${digit.repeat(64)}`;

function mount(role: EngineMount["role"], target: string, source: string, ino: number): EngineMount {
  return {
    role,
    target,
    source,
    access: role === "repo" || role === "home" ? "rw" : "ro",
    identity: { dev: 65_024, ino },
    mapOwner: role === "repo" || role === "protected",
    owner: { uid: 1000, gid: 1000 },
  };
}

/** What a launch has its fingerprint taken of: a repo with a protected and a masked name, beside Doorward's own mounts. */
export function fingerprintSource(id = "m_aaaaaaaaaaaaaaaa", range = 3_000_000): FingerprintSource {
  const mounts = [
    mount("guest-runtime", "/opt/dw", "/state/guest/5299", 11),
    mount("guest-socket", "/run/doorward", `/run/doorward/machines/${id}`, 12),
    mount("home", "/home/agent", `/state/homes/${id}`, 13),
    mount("repo", "/workspace/app", "/src/app", 14),
    mount("protected", "/workspace/app/.git/config", "/src/app/.git/config", 15),
    mount("protected", "/workspace/app/.git/commondir", "/src/app/.git/commondir", 16),
    mount("hidden", "/workspace/app/.env", "/state/masks/empty-file", 17),
  ];
  const measured = mounts.map(({ target, access, mapOwner, identity }) => ({
    target,
    fstype: "ext4",
    options: [...(mapOwner ? ["idmapped"] : []), access].sort(),
    dev: String(identity.dev),
    ino: String(identity.ino),
  }));
  const tmp = {
    target: "/tmp",
    fstype: "tmpfs",
    options: ["nosuid", "rw", "size=1048576k"],
    dev: "5",
    ino: "1",
  };
  return {
    machine: { id, name: "app" },
    profile: profileDocument("default", { ...DEFAULT_PROFILE, environment: { CI: "1" } }),
    policyHash: sha("1"),
    image: { id: sha("2"), digest: sha("3"), recipe: sha("4") },
    hide: [".env*"],
    spec: {
      name: `doorward-${id}`,
      machineId: id,
      installationId: "i_1",
      imageId: sha("2"),
      command: ["/opt/dw/bin/node"],
      workdir: "/workspace/app",
      hostname: "app",
      env: { CI: "1" },
      user: { uid: 1000, gid: 1000 },
      idRangeStart: range,
      mounts,
      tmpfs: [{ target: "/tmp", sizeBytes: 1_073_741_824, mode: 0o1777 }],
      limits: {
        memoryBytes: 4_294_967_296,
        pids: 1024,
        cpus: 2,
        nofile: 16_384,
        nproc: 1024,
        shmBytes: 67_108_864,
      },
      relaxations: ["unprotected-git-config"],
      seccomp: "machine",
    },
    isolation: {
      imageId: sha("2"),
      user: "1000:1000",
      uidMap: `0 ${String(range)} 65536`,
      gidMap: `0 ${String(range)} 65536`,
      hostUid: range + 1000,
      capEff: "0000000000000000",
      capBnd: "0000000000000000",
      noNewPrivs: true,
      seccompMode: 2,
      seccompProfile: sha("5"),
      rootReadOnly: true,
      namespaces: { user: true, mnt: true, pid: true, net: true, ipc: true, uts: true, cgroup: true },
      interfaces: ["lo"],
      routes: 0,
      devices: ["/dev/null"],
      mounts: [tmp, ...measured],
      limits: {
        memoryBytes: 4_294_967_296,
        swapBytes: 4_294_967_296,
        pids: 1024,
        cpus: 2,
        nofile: 16_384,
        nproc: 1024,
      },
      environment: ["CI", "HOME"],
    },
    guest: { digest: sha("6"), protocol: 1 },
    doors: { terminal: "1", exec: "1" },
    facts: {
      adapter: "linux",
      kernel: "6.1.0",
      podman: "4.3.1",
      runtime: "crun 1.8.1",
      rootless: false,
      cgroups: "v2",
      limits: ["memory", "pids", "cpu"],
      ownership: "idmapped",
      userNamespace: true,
      mandatoryAccessControl: "none",
      nofile: 20_000,
      nproc: 96_365,
      grade: "full",
      findings: [
        { id: "init.catatonit", state: "ok", found: "/usr/bin/catatonit", costs: null, fix: null },
        { id: "image.base", state: "ok", found: "built from packages", costs: null, fix: null },
      ],
    },
    fallbacks: [],
    observedAt: "2026-11-21T10:00:00.000Z",
  };
}
