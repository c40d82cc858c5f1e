import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { planMounts, type MountPlan, type RepoToMount } from "../src/machines/mounts/index.ts";
import { PolicyFile, type HeldPath } from "../src/policy/index.ts";

/** A home with an allowed root `~/src`, and the folders of an installation, in a temp folder of their own. */
export class PolicyLab implements Disposable {
  readonly base = mkdtempSync(join(tmpdir(), "doorward-policy-"));
  readonly home = join(this.base, "home");
  readonly src = join(this.home, "src");
  readonly configDir = join(this.home, ".config", "doorward");
  readonly stateDir = join(this.home, ".local", "state", "doorward");
  readonly runtimeDir = join(this.base, "run");
  readonly file = join(this.configDir, "policy.yaml");

  constructor() {
    for (const folder of [this.src, this.configDir, this.stateDir, this.runtimeDir]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
    chmodSync(this.base, 0o755);
  }

  /** Writes the policy and loads it. */
  async policy(text = "version: 1\nroots:\n  - path: ~/src\n    access: rw\n"): Promise<PolicyFile> {
    writeFileSync(this.file, text, { mode: 0o600 });
    return PolicyFile.load(this);
  }

  /** Makes a folder under `~/src`. */
  folder(name: string): string {
    const path = join(this.src, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Makes a repository with one commit under `~/src`. */
  repo(name: string, files: Readonly<Record<string, string>> = { "a.txt": "one\n" }): string {
    const path = this.folder(name);
    git(path, "init", "-q", "-b", "main");
    this.write(path, files);
    git(path, "add", "-A");
    git(path, "commit", "-q", "--allow-empty", "-m", "one");
    return path;
  }

  write(folder: string, files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** Environment of a git that knows nobody's settings. */
export const GIT_ENV = {
  PATH: process.env["PATH"] ?? "",
  HOME: "/nonexistent",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "Test",
  GIT_AUTHOR_EMAIL: "test@example.invalid",
  GIT_COMMITTER_NAME: "Test",
  GIT_COMMITTER_EMAIL: "test@example.invalid",
  GIT_CONFIG_COUNT: "2",
  GIT_CONFIG_KEY_0: "safe.directory",
  GIT_CONFIG_VALUE_0: "*",
  GIT_CONFIG_KEY_1: "protocol.file.allow",
  GIT_CONFIG_VALUE_1: "always",
};

export function git(folder: string, ...args: string[]): string {
  return execFileSync("git", ["-C", folder, ...args], {
    env: GIT_ENV,
    stdio: ["ignore", "pipe", "pipe"],
  }).toString();
}

/** Plans the mounts of repos with the default profile. */
export async function plan(
  lab: PolicyLab,
  policy: PolicyFile,
  repos: readonly (string | RepoToMount)[],
  options: { access?: "ro" | "rw"; hide?: string[]; protect?: string[] } = {},
): Promise<MountPlan> {
  const held: RepoToMount[] = [];
  for (const repo of repos)
    held.push(typeof repo === "string" ? { held: await hold(policy, repo, options.access) } : repo);
  try {
    return await planMounts({
      repos: held,
      profile: policy.profile("default"),
      hide: options.hide ?? [],
      protect: options.protect ?? policy.policy.protect ?? [],
      masksDir: join(lab.stateDir, "masks"),
      hold: (path, access) => policy.holdRepo(path, { profile: "default", access }),
    });
  } finally {
    for (const { held: folder } of held) openHolds.add(folder);
  }
}

const openHolds = new Set<HeldPath>();

/** Closes what {@link plan} held. */
export async function releaseAll(): Promise<void> {
  await Promise.all([...openHolds].map((held) => held[Symbol.asyncDispose]()));
  openHolds.clear();
}

export async function hold(policy: PolicyFile, path: string, access: "ro" | "rw" = "rw"): Promise<HeldPath> {
  return policy.holdRepo(path, { profile: "default", access });
}

/** Asserts that work fails with this code, a message and a hint; answers the error. */
export async function refused(work: Promise<unknown>, code: string): Promise<DoorwardError> {
  const error: unknown = await work.then(
    () => assert.fail(`expected ${code}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof DoorwardError, String(error));
  assert.equal(error.code, code, error.message);
  assert.doesNotMatch(error.message, /\.$/);
  return error;
}

/** `role target` of every mount, for comparison. */
export function shapes(mounts: MountPlan["mounts"]): string[] {
  return mounts.map(({ role, access, target }) => `${role} ${access} ${target}`);
}
