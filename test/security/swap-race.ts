import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  fstatSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DoorwardError } from "@doorward/contracts";
import { planMounts } from "../../packages/bridge/src/machines/mounts/index.ts";
import { PolicyFile } from "../../packages/bridge/src/policy/index.ts";

/**
 * Attacks path decisions and mount planning: while repos are held and planned, another process swaps the repo and
 * protected names in it for symlinks to a folder outside. Whatever a plan holds must lie in the repo, and a source
 * that leads outside when the runtime would open it must not have the identity that was decided.
 * Usage: swap-race.ts [ITERATIONS]
 */
const iterations = Number(process.argv[2] ?? 1000);
const base = mkdtempSync(join(tmpdir(), "doorward-swap-"));
const folders = {
  home: join(base, "home"),
  configDir: join(base, "c"),
  stateDir: join(base, "s"),
  runtimeDir: join(base, "r"),
};
const repo = join(folders.home, "src", "app");
const outside = join(folders.home, "outside");

const counts = {
  iterations,
  planned: 0,
  refused: 0,
  caughtAtOpen: 0,
  outside: 0,
  codes: {} as Record<string, number>,
};
let swappers: ChildProcess[] = [];
try {
  prepare();
  const policy = await PolicyFile.load(folders);
  await policy.allow(join(folders.home, "src"), "rw");
  const forbidden = identitiesIn(outside);
  swappers = await startSwappers();
  for (let turn = 0; turn < iterations; turn += 1) await attack(policy, forbidden);
} finally {
  for (const swapper of swappers) swapper.kill("SIGKILL");
  await Promise.all(swappers.map((swapper) => once(swapper, "close")));
  rmSync(base, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify(counts)}\n`);
assert.equal(counts.outside, 0, "a mount outside the repo");
assert.ok(
  counts.planned > 0 && counts.refused > 0,
  "the race must be lost and won at times, or it shows nothing",
);

function prepare(): void {
  for (const folder of [...Object.values(folders), repo, outside])
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  execFileSync("git", ["init", "-q", repo], {
    env: { PATH: process.env["PATH"], GIT_CONFIG_GLOBAL: "/dev/null" },
  });
  for (const name of [".vscode", "src", "src/deep"]) mkdirSync(join(repo, name));
  // What is outside looks like what it is swapped for, or it would be refused for its form alone.
  for (const name of ["hooks", "objects", "refs", ".vscode"]) mkdirSync(join(outside, name));
  for (const name of ["HEAD", "config", "secret"]) writeFileSync(join(outside, name), "x");
  mkdirSync(join(outside, ".git"));
}

async function startSwappers(): Promise<ChildProcess[]> {
  const tsx = import.meta.resolve("tsx");
  const script = fileURLToPath(new URL("swap-race-swapper.ts", import.meta.url));
  const groups: [string, string[]][] = [
    [join(repo, ".."), ["app"]],
    [repo, [".git/hooks", ".vscode", ".git/config", ".git"]],
  ];
  return Promise.all(
    groups.map(async ([cwd, paths]) => {
      const swapper = spawn(process.execPath, ["--import", tsx, script, outside, ...paths], {
        cwd,
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(swapper.stdout, "data");
      return swapper;
    }),
  );
}

async function attack(policy: PolicyFile, forbidden: ReadonlySet<string>): Promise<void> {
  try {
    await using held = await policy.holdRepo(repo, { profile: "default", access: "rw" });
    await using plan = await planMounts({
      repos: [{ held }],
      profile: policy.profile("default"),
      hide: [],
      protect: [],
      masksDir: join(folders.stateDir, "masks"),
      hold: (path, access) => policy.holdRepo(path, { profile: "default", access }),
    });
    counts.planned += 1;
    for (const { source, identity } of plan.mounts) {
      if (forbidden.has(`${identity.dev}:${identity.ino}`)) counts.outside += 1;
      const opened = identityAt(source);
      if (opened !== `${identity.dev}:${identity.ino}`) counts.caughtAtOpen += 1;
    }
  } catch (error) {
    if (!(error instanceof DoorwardError)) throw error;
    counts.refused += 1;
    counts.codes[error.code] = (counts.codes[error.code] ?? 0) + 1;
  }
}

/** What a runtime that follows symlinks would mount from this path now. */
function identityAt(source: string): string | null {
  try {
    const fd = openSync(source, "r");
    try {
      const { dev, ino } = fstatSync(fd);
      return `${dev}:${ino}`;
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}

function identitiesIn(folder: string): Set<string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const found = [statSync(folder), ...names.map((name) => lstatSync(join(folder, name)))];
  return new Set(found.map(({ dev, ino }) => `${dev}:${ino}`));
}
