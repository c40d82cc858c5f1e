import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";
import { installCommand } from "../../hosts/linux/install-command.ts";
import type { LinuxHost } from "../../hosts/linux/linux-host.ts";
import { readText } from "../../hosts/linux/read-text.ts";
import { runCommand } from "../../hosts/linux/run-command.ts";
import { writeCrunWrapper } from "./podman-config.ts";
import { tryRuntime } from "./runtime-trial.ts";

const Choice = z.strictObject({
  name: z.string(),
  path: z.string(),
  version: z.string(),
  podman: z.string(),
  idmap: z.boolean(),
  wrapped: z.boolean(),
  rejected: z.array(z.string()),
});
/** The OCI runtime that this host's machines use, and what was tried before it. */
export type RuntimeChoice = z.infer<typeof Choice>;

const Memo = z.strictObject({ key: z.string(), choice: Choice });

const folders = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
  "/run/current-system/sw/bin",
];

/** Absolute path of a host program, or `null`. */
export function findProgram(name: string): string | null {
  const searched = [
    ...(process.env["PATH"] ?? "").split(":").filter((path) => path.startsWith("/")),
    ...folders,
  ];
  return searched.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

/** Chooses the runtime: crun where it maps ids on mounts, behind the wrapper on hybrid hosts, else what works. Tried once per set of versions. */
export async function chooseRuntime(
  host: LinuxHost,
  state: string,
  scratch: string,
  signal: AbortSignal,
): Promise<RuntimeChoice> {
  const key = await versionKey(host, signal);
  const memo = readMemo(state, key.digest);
  if (memo !== null) {
    if (memo.wrapped) writeCrunWrapper(state, requireProgram("crun"));
    return memo;
  }
  const choice = await tryCandidates(host, state, scratch, key, signal);
  writeFileSync(join(state, "runtime.json"), JSON.stringify({ key: key.digest, choice }));
  return choice;
}

interface VersionKey {
  readonly digest: string;
  readonly podman: string;
  readonly crun: string | null;
  readonly runc: string | null;
}

async function versionKey(host: LinuxHost, signal: AbortSignal): Promise<VersionKey> {
  const [podman, crun, runc] = await Promise.all([
    programVersion("podman", signal),
    programVersion("crun", signal),
    programVersion("runc", signal),
  ]);
  if (podman === null) {
    const hint = installCommand(host.distribution, ["podman", "crun"]);
    throw new DoorwardError({
      code: "PODMAN_MISSING",
      message: `Cannot start machines: Podman is not installed`,
      hint,
    });
  }
  requireVersion(podman, host);
  const facts = [podman, crun, runc, host.kernel, host.cgroups, String(host.rootless), "4"];
  return { digest: createHash("sha256").update(facts.join("\n")).digest("hex"), podman, crun, runc };
}

function requireVersion(podman: string, host: LinuxHost): void {
  const [major = 0, minor = 0] = podman.split(".").map(Number);
  if (major > 4 || (major === 4 && minor >= 3)) return;
  throw new DoorwardError({
    code: "PODMAN_MISSING",
    message: `Cannot start machines: Podman "${podman}" is older than 4.3`,
    hint: installCommand(host.distribution, ["podman"]),
  });
}

async function programVersion(name: string, signal: AbortSignal): Promise<string | null> {
  const path = findProgram(name);
  if (path === null) return null;
  const { code, stdout } = await runCommand(path, ["--version"], { signal });
  return code === 0 ? (/version\s+v?([0-9][^\s,]*)/.exec(stdout)?.[1] ?? "unknown") : null;
}

function readMemo(state: string, digest: string): RuntimeChoice | null {
  const text = readText(join(state, "runtime.json"));
  if (text === null) return null;
  try {
    const memo = Memo.parse(JSON.parse(text));
    return memo.key === digest ? memo.choice : null;
  } catch {
    return null;
  }
}

function requireProgram(name: string): string {
  const path = findProgram(name);
  if (path === null)
    throw new DoorwardError({
      code: "HOST_UNSUPPORTED",
      message: `Cannot start machines: "${name}" is gone`,
    });
  return path;
}

interface Candidate {
  readonly name: string;
  readonly path: string;
  readonly version: string;
  readonly wrapped: boolean;
}

function candidates(host: LinuxHost, state: string, key: VersionKey): Candidate[] {
  const found: Candidate[] = [];
  if (key.crun !== null) {
    const path = requireProgram("crun");
    if (host.cgroups !== "hybrid")
      found.push({ name: "crun", path, version: `crun ${key.crun}`, wrapped: false });
    else if (!host.rootless) {
      found.push({
        name: "crun-hybrid",
        path: writeCrunWrapper(state, path),
        version: `crun ${key.crun}`,
        wrapped: true,
      });
    }
  }
  if (key.runc !== null)
    found.push({ name: "runc", path: requireProgram("runc"), version: `runc ${key.runc}`, wrapped: false });
  return found;
}

async function tryCandidates(
  host: LinuxHost,
  state: string,
  scratch: string,
  key: VersionKey,
  signal: AbortSignal,
): Promise<RuntimeChoice> {
  const rejected: string[] = [];
  let fallback: RuntimeChoice | null = null;
  for (const candidate of candidates(host, state, key)) {
    // A rootless Podman can't map ids on mounts, so there is nothing to try before a real launch.
    const trial = host.rootless
      ? { works: true, idmap: false, reason: null }
      : await tryRuntime(candidate.path, scratch, signal);
    const choice = { ...candidate, podman: key.podman, idmap: trial.idmap, rejected: [...rejected] };
    if (trial.works && (trial.idmap || host.rootless)) return choice;
    if (trial.works) fallback ??= choice;
    rejected.push(`${candidate.version}: ${trial.reason ?? "no idmapped mounts"}`);
  }
  if (fallback !== null) return { ...fallback, rejected };
  throw new DoorwardError({
    code: "HOST_UNSUPPORTED",
    message: `Cannot start machines: no OCI runtime works here (${rejected.join("; ") || "neither crun nor runc is installed"})`,
    hint: installCommand(host.distribution, ["crun", "runc"]),
  });
}
