import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FileOperation } from "@doorward/contracts";
import { ActionError } from "../../packages/bridge/src/actions/action-error.ts";
import { ScopedFiles } from "../../packages/bridge/src/actions/files/index.ts";

/**
 * Plans and applies file operations of a scope while another process swaps its names for links to what lies outside.
 * Argument: how many attempts; SIGTERM ends it sooner. Writes one line of JSON: attempts, how they ended, and escapes, which must be 0.
 */
const attempts = Number(process.argv[2] ?? 10_000);
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
const SECRET = "the host's own words";
const CHECK_EVERY = 500;

// In memory where that can be: a million times fsync says nothing about links.
const lab = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "doorward-action-swap-"));
const root = join(lab, "scope");
const outside = join(lab, "outside");
const counts = { attempts: 0, reads: 0, writes: 0, done: 0, refused: 0, failed: 0, linksMet: 0, escapes: 0 };
for (const folder of [`${root}/sub/deep`, `${outside}/deep`, `${outside}/made`])
  mkdirSync(folder, { recursive: true });
const files = new ScopedFiles({
  scopes: [
    {
      id: "raced",
      roots: [root],
      operations: ["mkdir", "writeFile", "appendFile", "rename", "remove"],
      recursiveRemove: true,
    },
  ],
  journalFolder: join(lab, "journal"),
});

const OPERATIONS: readonly (readonly FileOperation[])[] = [
  [{ type: "writeFile", path: `${root}/sub/file`, content: "ours\n" }],
  [{ type: "writeFile", path: `${root}/file`, content: "ours\n" }],
  [{ type: "appendFile", path: `${root}/file`, content: "more\n" }],
  [{ type: "appendFile", path: `${root}/sub/deep/file`, content: "more\n" }],
  [{ type: "rename", from: `${root}/sub/file`, to: `${root}/sub/moved` }],
  [{ type: "rename", from: `${root}/file`, to: `${root}/sub/deep/file` }],
  [{ type: "remove", path: `${root}/sub/moved`, force: true }],
  [{ type: "remove", path: `${root}/sub/deep`, recursive: true, force: true }],
  [{ type: "mkdir", path: `${root}/sub/deep/made`, recursive: true }],
  [{ type: "remove", path: `${root}/sub/file`, force: true }],
];

for (const name of ["file", "moved", "deep/file", "made/file"]) writeFileSync(join(outside, name), SECRET);
const before = outsideNow();
const swapper = spawn(
  process.execPath,
  ["--import", "tsx", fileURLToPath(new URL("./action-swap-swapper.ts", import.meta.url)), root, outside],
  { stdio: ["ignore", "pipe", "inherit"] },
);
try {
  await once(swapper.stdout, "data");
  for (let n = 0; counts.attempts < attempts && !stop.signal.aborted; n += 1)
    await round(n, OPERATIONS[n % OPERATIONS.length] ?? []);
} finally {
  check();
  swapper.kill("SIGKILL");
  await once(swapper, "exit");
  rmSync(lab, { recursive: true, force: true });
}
console.log(JSON.stringify(counts));

/** A plan is one attempt, for it reads; applying it is another. */
async function round(n: number, operations: readonly FileOperation[]): Promise<void> {
  try {
    counts.attempts += 1;
    counts.reads += 1;
    const plan = await files.plan("raced", operations);
    if (plan.changes.some(({ preview }) => preview.includes(SECRET))) counts.escapes += 1;
    counts.attempts += 1;
    counts.writes += 1;
    await files.apply(plan, new AbortController().signal);
    counts.done += 1;
  } catch (error) {
    if (!(error instanceof ActionError)) throw error;
    if (error.failure.code === "SCOPE_VIOLATION") counts.refused += 1;
    else counts.failed += 1;
    if (/symlink|hard link/.test(error.message)) counts.linksMet += 1;
  }
  if (n % CHECK_EVERY === 0) check();
  if (n % 100 === 0) mend();
}

/** Looks while the swapper stands still, for what is looked at would be swapped too. */
function check(): void {
  swapper.kill("SIGSTOP");
  while (/^State:\s+[RSD]/m.test(readFileSync(`/proc/${String(swapper.pid)}/status`, "utf8")));
  if (outsideNow() !== before) counts.escapes += 1;
  for (const name of readdirSync(root, { recursive: true, encoding: "utf8" }))
    if (leaked(join(root, name))) counts.escapes += 1;
  swapper.kill("SIGCONT");
}

/** The scope's own copy of a secret would have been read through a link. */
function leaked(path: string): boolean {
  const stat = lstatSync(path);
  if (!realpathSync(path).startsWith(`${root}/`)) return false; // listed through a link that stands there now
  return stat.isFile() && stat.nlink === 1 && readFileSync(path, "utf8").includes(SECRET);
}

/** What was removed comes back, so that there is something to attack. */
function mend(): void {
  for (const step of [
    () => mkdirSync(join(root, "sub"), { recursive: true }),
    () => mkdirSync(join(root, "sub/deep")),
  ])
    try {
      step();
    } catch {
      // It is there, or just swapped.
    }
}

function outsideNow(): string {
  return JSON.stringify(
    readdirSync(outside, { recursive: true, encoding: "utf8" })
      .sort()
      .map((name) => {
        const { ino, size, mode } = statSync(join(outside, name));
        const content = statSync(join(outside, name)).isFile()
          ? readFileSync(join(outside, name), "utf8")
          : size;
        return [name, ino, mode, content];
      }),
  );
}
