import { readFile } from "node:fs/promises";
import { DenialError } from "@doorward/contracts";
import { PROTECTED_IN_REPO, shellPath, shownPath, type HeldPath } from "../../policy/index.ts";
import { parseMountinfo } from "../podman/mountinfo.ts";
import type { RepoScan } from "./scan-repo.ts";

/** Refuses repos that overlap: what one mount protects, the other would give away. */
export function refuseOverlap(repos: readonly HeldPath[]): void {
  for (const [index, repo] of repos.entries()) {
    const other = repos.find((each, at) => at !== index && liesIn(repo.resolved, each.resolved));
    if (other === undefined) continue;
    const what = other.resolved === repo.resolved ? "it is given twice" : `it lies in "${other.resolved}"`;
    throw refusal(repo, "policy.paths.overlap", what, `doorward up ${shellPath(other.resolved)}`);
  }
}

/** Refuses a writable folder that is itself something protected, such as the inside of a `.git`. */
export function refuseProtectedFolder(repo: HeldPath): void {
  if (repo.access === "ro") return;
  const names = repo.resolved.split("/");
  const inside = names.find((name) => name === ".git" || PROTECTED_IN_REPO.includes(name));
  if (inside === undefined) return;
  const hint = `doorward up --ro ${shellPath(repo.resolved)}`;
  throw refusal(repo, "policy.protect", `it lies in "${inside}", which is protected`, hint);
}

/** Refuses a repo with mounts of the host beneath it: a bind takes them along, and read-only does not reach them. */
export async function refuseMountsBeneath(repo: HeldPath): Promise<void> {
  const lines = parseMountinfo(await readFile("/proc/self/mountinfo", "utf8"));
  const beneath = lines.find(({ target }) => target.startsWith(`${repo.resolved}/`));
  if (beneath === undefined) return;
  const hint = `umount ${shellPath(beneath.target)}`;
  throw refusal(
    repo,
    "policy.paths.mounts",
    `another file system is mounted at "${shownPath(beneath.target)}"`,
    hint,
  );
}

/** Refuses device files, and sockets by which a container engine of the host could be told what to do. */
export function refuseSpecialFiles(repo: HeldPath, scan: RepoScan): void {
  const [device] = scan.devices;
  const review = `doorward up --review ${shellPath(repo.resolved)}`;
  if (device !== undefined) {
    throw refusal(repo, "policy.paths.devices", `"${shownPath(device)}" is a device`, review);
  }
  const engine = scan.sockets.find((path) =>
    /(?:docker|podman|containerd|buildkitd?|crio)[^/]*\.sock$/.test(path),
  );
  if (engine === undefined) return;
  throw new DenialError({
    code: "PATH_DENIED",
    message: `Cannot give "${shownPath(repo.resolved)}" to a machine: it contains "${shownPath(engine)}" (the socket of a container engine)`,
    rule: "policy.paths.deny[engine-socket]",
    hint: review,
  });
}

function liesIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function refusal(repo: HeldPath, rule: string, why: string, hint: string): DenialError {
  return new DenialError({
    code: "REPO_UNSUPPORTED",
    message: `Cannot mount "${shownPath(repo.resolved)}": ${why}`,
    rule,
    hint,
    details: { repo: repo.resolved },
  });
}
